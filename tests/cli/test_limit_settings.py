"""What a peer may do, as settings: where values come from, what is wrong, and the list of them."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from audio_server.cli.layers import VARIABLES
from audio_server.rpc.limits import check_together
from audio_server.settings import LimitSettings, Settings
from audio_server.settings.values import bounds_of

DEFAULTS = {limit.name: limit.default for limit in fields(LimitSettings)}


def flag(name: str) -> str:
    return "--limits." + name.replace("_", "-")


def variable(name: str) -> str:
    return f"AUDIO_SERVER_LIMITS_{name.upper()}"


def shifted(by: int) -> LimitSettings:
    """LimitSettings of which none is the default."""
    return LimitSettings(
        **{
            name: (default[0] + by, default[1] + by) if isinstance(default, tuple) else default + by
            for name, default in DEFAULTS.items()
        }
    )


def text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def table(limits: LimitSettings) -> str:
    values = {name: getattr(limits, name) for name in DEFAULTS}
    lines = [f"{n} = {list(v) if isinstance(v, tuple) else v}" for n, v in values.items()]
    return "\n".join(["[limits]", *lines])


def test_each_limit_by_flag_or_else_environment_or_else_file(serve, monkeypatch, tmp_path) -> None:
    (tmp_path / "settings.toml").write_text(table(shifted(1)))
    config = ["--config", "settings.toml"]
    assert serve(*config) == Settings(limits=shifted(1))
    for name in DEFAULTS:
        monkeypatch.setenv(variable(name), text(getattr(shifted(2), name)))
    assert serve(*config) == Settings(limits=shifted(2))
    flags = [f"{flag(name)}={text(getattr(shifted(3), name))}" for name in DEFAULTS]
    assert serve(*config, *flags) == serve("serve", *flags) == Settings(limits=shifted(3))


def test_what_is_not_given_keeps_its_default(serve, tmp_path) -> None:
    (tmp_path / "settings.toml").write_text("port = 7\n[limits]\nidle_s = 7\n")
    given = serve("--config", "settings.toml", "--limits.max-streams", "7")
    assert given == Settings(port=7, limits=LimitSettings(idle_s=7, max_streams=7))
    assert serve().limits == LimitSettings()


def test_each_number_has_bounds_that_hold_its_default() -> None:
    for name, hint in get_type_hints(LimitSettings, include_extras=True).items():
        default = DEFAULTS[name]
        if isinstance(default, tuple):
            continue
        least, most = bounds_of(hint.__metadata__[-1]).split(" to ")
        assert float(least) <= default <= float(most)
    check_together(LimitSettings())


WRONG = [
    ("max_streams", "2"),
    ("max_streams", "1001"),
    ("max_streams", "16.5"),
    ("max_streams", ""),
    ("idle_s", "0.9"),
    ("idle_s", "nan"),
    ("idle_s", "a minute"),
    ("resets", "100"),
    ("resets", "100,5,2"),
    ("resets", "0,5"),
    ("resets", "100,0"),
    ("resets", "100,nan"),
    ("resets", "1.5,5"),
    ("resets", "many"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_wherever_it_is(name, value, fail, monkeypatch, tmp_path) -> None:
    assert flag(name) in fail(f"{flag(name)}={value}")
    config = tmp_path / "settings.toml"
    config.write_text(f"[limits]\n{name} = {value!r}\n")
    line = fail("--config", str(config))
    assert f"limits.{name} in {config}" in line
    if value:  # an empty variable is an unset one
        monkeypatch.setenv(variable(name), value)
        assert variable(name) in fail()


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("limits = 3", "unknown setting: limits."),
        ("[limits]\nmax_stream = 3", "unknown setting: limits.max_stream."),
        ("[limits]\nidle-s = 3", "unknown setting: limits.idle-s."),
        ("[limits]\nidle_s = true", "invalid value for limits.idle_s"),
        ("[limits]\nidle_s = [1, 2]", "limits.idle_s"),
        ("[limits]\nresets = [1, true]", "invalid value for limits.resets"),
        ("[limits]\nresets = [[1, 2]]", "invalid value for limits.resets"),
        ("[limits.resets]\nburst = 1", "invalid value for limits.resets"),
        ("port = [1, 2]", "invalid value for port"),
    ],
)
def test_a_wrong_table(toml, named, fail, tmp_path) -> None:
    (tmp_path / "settings.toml").write_text(toml)
    line = fail("--config", "settings.toml")
    assert "settings.toml" in line
    assert named in line


@pytest.mark.parametrize("argv", [["--limits", "3"], ["--limits={}"], ["--limits.max-stream=3"]])
def test_a_wrong_flag(argv, fail) -> None:
    assert "--limits" in fail(*argv)


def test_an_unknown_variable(fail, monkeypatch) -> None:
    monkeypatch.setenv("AUDIO_SERVER_LIMITS", "3")
    assert "AUDIO_SERVER_LIMITS" not in VARIABLES
    assert "AUDIO_SERVER_LIMITS." in fail()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--limits.max-message-bytes=262140"], "limits.connection_window_bytes"),
        (["--limits.max-waiting-bytes=16384"], "limits.busy_bytes"),
    ],
)
def test_limits_that_do_not_go_together(given, named, fail) -> None:
    assert named in fail(*given)


def test_the_list_is_a_file_of_settings(serve, run_command, tmp_path) -> None:
    listed = run_command("limits", "--limits.resets=7,7.5", "--limits.idle-s", "7")
    assert (listed.returncode, listed.stderr) == (0, "")
    (tmp_path / "settings.toml").write_text(listed.stdout)
    wanted = LimitSettings(resets=(7, 7.5), idle_s=7)
    assert serve("--config", "settings.toml").limits == wanted
    assert run_command("limits", "--config", "settings.toml").stdout == listed.stdout


def test_the_list_says_what_each_is(run_command) -> None:
    listed = run_command("limits").stdout
    assert "# How long a connection may be open with no call. (1 to 86400)\nidle_s = 60\n" in listed
    assert "None" not in listed
    assert max(map(len, listed.splitlines())) <= 100
