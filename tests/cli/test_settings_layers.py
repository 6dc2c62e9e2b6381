"""Where a setting's value comes from."""

from __future__ import annotations

from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from audio_server.cli.layers import VARIABLES
from audio_server.settings import Settings
from audio_server.settings.places import default_cache, default_clips, default_data

# Three values for each setting, none of them its default: for the file, the environment, a flag.
VALUES: dict[str, tuple[str, str, str]] = {
    "host": ("10.0.0.1", "::1", "localhost"),
    "port": ("1", "2", "0"),
    "http": ("127.0.0.1:0", "[::1]:81", "off"),
    "http_token_file": ("from-file", "from-environment", "from-flag"),
    "http_keepalive_s": ("61", "90.5", "120"),
    "clips": ("from-file", "from-environment", "from-flag"),
    "cache": ("from-file", "from-environment", "from-flag"),
    "data": ("from-file", "from-environment", "from-flag"),
    "tls_cert": ("from-file", "from-environment", "from-flag"),
    "tls_key": ("from-file", "from-environment", "from-flag"),
    "tls_client_ca": ("from-file", "from-environment", "from-flag"),
    "tokens": ("required", "off", "required"),
    "trusted_proxies": ("10.0.0.0/8", "192.0.2.7,2001:db8::/56", "::1"),
    "proxy_protocol": ("required", "off", "required"),
    "cluster": ("redis://a", "rediss://me@b:7000", "redis+sentinel://a,b/main"),
    "cluster_password_file": ("from-file", "from-environment", "from-flag"),
    "cluster_ca": ("from-file", "from-environment", "from-flag"),
    "cluster_replicas": ("0", "1", "16"),
    "lead_ms": ("60", "100", "2000"),
    "max_devices": ("1", "500", "100000"),
    "loudness": ("-16", "off", "-23"),
    "max_upload_mib": ("1", "20", "4096"),
    "tts_command": ("off", "piper --model 'a b'", "espeak-ng -v de --stdin --stdout"),
    "live": ("radio", "radio,hall", "a.b-c_1"),
    "live_patience_s": ("0", "2.5", "300"),
    "live_sources": ("a=http://a/", "a=https://b/s?x=1,2 b=http://c/", "c=http://me:pw@c/"),
    "live_allow_hosts": ("a.org", "a.org,*.b.org", "10.0.0.5"),
    "record": ("true", "false", "true"),
    "record_minutes": ("1", "30", "59"),
    "record_days": ("1", "7", "3650"),
    "record_mib": ("1", "2048", "1048576"),
    "cache_mib": ("1", "2048", "1048576"),
    "play_while_playing": ("ignore", "queue", "ignore"),
    "mode_while_playing": ("stop", "switch", "stop"),
    "led_brightness": ("1", "50", "99"),
    "stop_goes": ("keep", "home", "keep"),
    "worker_ports": ("0", "50061", "65535"),
    "drain_s": ("0", "30", "3600"),
    "grace_s": ("0", "2.5", "300"),
    "workers": ("2", "3", "4"),
    "hang_s": ("2", "30.5", "3600"),
    "log_level": ("debug", "warning", "error"),
    "log_format": ("human", "json", "human"),
}


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def value_of(settings: Settings, name: str, like: str) -> object:
    value = getattr(settings, name)
    if isinstance(value, bool):
        return like == "true"
    if name == "loudness":
        return None if like == "off" else int(like)
    if name == "live_sources":
        return tuple(tuple(part.split("=", 1)) for part in like.split())
    if name in ("live", "live_allow_hosts"):
        return tuple(like.split(","))
    if isinstance(value, tuple):
        return tuple(ip_network(text) for text in like.split(","))
    return type(value)(like)


def write_toml(path: Path, **settings: str) -> Path:
    """A TOML file, numbers as numbers."""
    lines = [
        f"{name} = {text if text[0].isdigit() and text.count('.') < 2 else repr(text)}\n"
        for name, text in settings.items()
    ]
    path.write_text("".join(lines))
    return path


def test_every_setting_is_tried() -> None:
    assert {*VALUES, "limits"} == {setting.name for setting in fields(Settings)}


@pytest.mark.parametrize("name", VALUES)
def test_flag_beats_environment_beats_file(name, serve, monkeypatch, tmp_path) -> None:
    in_file, in_environment, in_flag = VALUES[name]
    config = ["--config", str(write_toml(tmp_path / "settings.toml", **{name: in_file}))]

    settings = serve(*config)
    assert getattr(settings, name) == value_of(settings, name, in_file)

    monkeypatch.setenv(f"AUDIO_SERVER_{name.upper()}", in_environment)
    assert getattr(serve(*config), name) == value_of(settings, name, in_environment)

    given = [f"{flag(name)}={in_flag}"] if name == "record" else [flag(name), in_flag]
    flags = [*config, *given]
    assert getattr(serve(*flags), name) == value_of(settings, name, in_flag)
    assert serve(*flags) == serve("serve", *flags)


def test_what_is_not_given_keeps_its_default(serve, tmp_path) -> None:
    config = write_toml(tmp_path / "settings.toml", port="7")
    assert serve("--config", str(config), "--lead-ms", "100") == Settings(port=7, lead_ms=100)
    assert serve() == Settings()


def test_networks_may_be_a_list_in_the_file(serve, tmp_path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('trusted_proxies = ["10.1.2.3/8", "::1"]')
    networks = ip_network("10.0.0.0/8"), ip_network("::1")
    assert serve("--config", str(config)).trusted_proxies == networks
    config.write_text("trusted_proxies = []")
    assert serve("--config", str(config)).trusted_proxies == ()


def test_as_many_workers_as_cores(serve, tmp_path) -> None:
    assert serve("--workers", "auto").workers == "auto"
    config = write_toml(tmp_path / "settings.toml", workers="auto")
    assert serve("--config", str(config)).workers == "auto"


def test_the_environment_can_name_the_file(serve, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUDIO_SERVER_CONFIG", str(write_toml(tmp_path / "a.toml", port="7")))
    assert serve().port == 7
    other = write_toml(tmp_path / "b.toml", port="8")
    assert serve("--config", str(other)).port == 8


def test_a_path_may_begin_at_home(serve, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = write_toml(tmp_path / "settings.toml", clips="~/sounds", cache="~/cache")
    settings = serve("--config", "~/settings.toml")
    assert config.exists()
    assert (settings.clips, settings.cache) == (tmp_path / "sounds", tmp_path / "cache")


def test_clips_of_the_working_folder_come_before_the_shipped_ones(tmp_path) -> None:
    assert default_clips(tmp_path).is_absolute()
    (tmp_path / "clips").mkdir()
    assert default_clips(tmp_path) == Path("clips")


def test_the_cache_is_where_the_desktop_wants_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "streaming-audio-server"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_cache() == Path("/home/somebody/.cache/streaming-audio-server")


def test_what_outlives_the_server_is_where_the_desktop_wants_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_data() == tmp_path / "streaming-audio-server"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_data() == Path("/home/somebody/.local/state/streaming-audio-server")


def test_nothing_needs_to_outlive_the_server(serve, monkeypatch, tmp_path) -> None:
    assert serve("--data", "off").data is None
    monkeypatch.setenv("AUDIO_SERVER_DATA", "off")
    assert serve().data is None
    monkeypatch.delenv("AUDIO_SERVER_DATA")
    (tmp_path / "settings.toml").write_text('data = "off"\n')
    assert serve("--config", "settings.toml").data is None


def test_a_data_folder_without_a_name_is_a_mistake(fail, tmp_path) -> None:
    assert "a path is needed, or off" in fail("--data", "")
    (tmp_path / "settings.toml").write_text('data = ""\n')
    assert "a path is needed, or off" in fail("--config", "settings.toml")


def test_a_switch_and_a_list_in_the_file(serve, fail, tmp_path) -> None:
    (tmp_path / "settings.toml").write_text('record = true\nlive = ["radio", "hall"]\n')
    settings = serve("--config", "settings.toml")
    assert (settings.record, settings.live) == (True, ("radio", "hall"))
    assert serve("--record").record
    (tmp_path / "settings.toml").write_text('live_sources = {lobby = "https://a/b"}\n')
    settings = serve("--config", "settings.toml", "--live", "radio")
    assert settings.live_sources == (("lobby", "https://a/b"),)
    assert settings.channels == ("radio", "lobby")
    (tmp_path / "settings.toml").write_text("port = true\n")
    assert "invalid value for port: True" in fail("--config", "settings.toml")


def test_empty_variables_count_as_unset(serve, monkeypatch) -> None:
    before = serve()
    for variable in (*VARIABLES, "AUDIO_SERVER_OF_NO_SETTING"):
        monkeypatch.setenv(variable, "")
    assert serve() == before


def test_an_empty_variable_leaves_the_file_its_word(serve, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUDIO_SERVER_DATA", "")
    monkeypatch.setenv("AUDIO_SERVER_LIMITS_IDLE_S", "")
    write_toml(tmp_path / "settings.toml", data="here")
    assert serve("--config", "settings.toml").data == Path("here")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_settings(encoding, serve, tmp_path) -> None:
    (tmp_path / "settings.toml").write_text("port = 7\n# Küche\n", encoding=encoding)
    assert serve("--config", "settings.toml").port == 7


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a = " + b"[" * 20_000, "nested too deeply"),
        (b"port = " + b"9" * 5000, "not a TOML file"),
        ("host = 'Küche'".encode("latin-1"), "it is not UTF-8"),
        (b"\xff\xfe\xff", "it is not UTF-8"),
        (b"\0", "not a TOML file"),
    ],
    ids=["nested", "long", "latin-1", "utf-16", "nul"],
)
def test_a_file_that_is_no_toml_is_one_line(content, reason, fail, tmp_path) -> None:
    (tmp_path / "settings.toml").write_bytes(content)
    assert reason in fail("--config", "settings.toml")


@pytest.mark.parametrize("relative", ["", ".", "cache", "./cache", "~/cache"])
@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "XDG_STATE_HOME"])
def test_base_folders_are_absolute_or_unset(variable, relative, monkeypatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    before = default_cache(), default_data()
    monkeypatch.setenv(variable, relative)
    assert (default_cache(), default_data()) == before


def test_every_setting_has_a_variable_a_flag_and_a_word_in_the_help(run_command) -> None:
    page = run_command("--help").stdout
    for name in VALUES:
        assert f"AUDIO_SERVER_{name.upper()}" in VARIABLES
        assert f" {flag(name)} " in page
    assert "audio-server limits" in page
