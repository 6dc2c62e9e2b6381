"""Files in deploy/ say what the server does: settings, ports, paths, times."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from deployed import (
    CLUSTER,
    COMPOSE,
    CONTAINER,
    DEPLOY,
    DEPLOYMENT,
    DOCKERFILE,
    ENVIRONMENTS,
    POD,
    PROMETHEUS,
    ROOT,
    SERVER,
    THINGS,
    documents,
    port_of,
)

from audio_server.cli.app import app
from audio_server.settings import Settings

IMAGE = dict(re.findall(r"(AUDIO_SERVER_\w+)=(\S+)", DOCKERFILE))
EXPOSED = [int(port) for port in re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)[0].split()]
USER = int(re.findall(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)[0])
ROUTES = (ROOT / "audio_server/web/app.py").read_text()
SECRET = "/run/secrets/http-token"


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a server in the image is started with."""
    for variable, value in {**IMAGE, **environment}.items():
        monkeypatch.setenv(variable, value)
    _, bound, _ = app.parse_args([], exit_on_error=False)
    found = bound.arguments["settings"]
    assert isinstance(found, Settings)
    return found


@pytest.mark.parametrize("place", ENVIRONMENTS)
def test_variables_are_settings(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is none would keep the server from starting, and so would a bad value."""
    found = settings(ENVIRONMENTS[place], monkeypatch)
    assert found.host == "0.0.0.0"
    assert found.data == Path("/data")
    assert all(isinstance(value, str) for value in ENVIRONMENTS[place].values())


def test_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Settings().port
    assert [port, port_of(IMAGE)] == EXPOSED
    assert [entry.rpartition(":")[2] for entry in SERVER["ports"]] == [str(p) for p in EXPOSED]
    assert [entry["containerPort"] for entry in CONTAINER["ports"]] == EXPOSED
    assert {port_of(environment) for environment in ENVIRONMENTS.values()} == {EXPOSED[1]}
    assert [port["port"] for port in service("audio-server")["ports"]] == [port]
    assert [port["port"] for port in service("audio-server-http")["ports"]] == [EXPOSED[1]]
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"server:{EXPOSED[1]}"]}]


def test_probes_ask_what_is_answered() -> None:
    names = {entry["name"]: entry["containerPort"] for entry in CONTAINER["ports"]}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = CONTAINER[kind]
        if "httpGet" in probe:
            assert f'Route("{probe["httpGet"]["path"]}"' in ROUTES
            assert names[probe["httpGet"]["port"]] == EXPOSED[1]
        else:
            assert probe["grpc"] == {"port": EXPOSED[0]}
    (job,) = PROMETHEUS["scrape_configs"]
    (endpoint,) = THINGS["ServiceMonitor", "audio-server"]["spec"]["endpoints"]
    for path in (job["metrics_path"], endpoint["path"]):
        assert f'Route("{path}"' in ROUTES


def test_a_drain_has_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    here = settings(ENVIRONMENTS["compose"], monkeypatch)
    assert seconds(SERVER["stop_grace_period"]) >= here.drain_s + here.grace_s + 3
    here = settings(ENVIRONMENTS["cluster"], monkeypatch)
    assert seconds(CLUSTER["one"]["stop_grace_period"]) >= here.drain_s + here.grace_s + 3
    here = settings(ENVIRONMENTS["kubernetes"], monkeypatch)
    before_s = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert here.drain_s > 0
    assert POD["terminationGracePeriodSeconds"] >= before_s + here.drain_s + here.grace_s + 3


def test_everything_is_of_this_version() -> None:
    (version,) = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert (
        SERVER["image"]
        == CLUSTER["two"]["image"]
        == CONTAINER["image"]
        == f"streaming-audio-server:{version}"
    )
    (chart,) = documents("helm/audio-server/Chart.yaml")
    assert chart["version"] == chart["appVersion"] == version


def test_the_token_is_where_it_is_looked_for() -> None:
    assert ENVIRONMENTS["compose"]["AUDIO_SERVER_HTTP_TOKEN_FILE"] == SECRET
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["authorization"] == {"credentials_file": SECRET}
    for service_of in COMPOSE["services"].values():
        assert service_of["secrets"] == ["http-token"]
    assert "/deploy/http-token" in (ROOT / ".gitignore").read_text().splitlines()
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    (endpoint,) = THINGS["ServiceMonitor", "audio-server"]["spec"]["endpoints"]
    credentials = endpoint["authorization"]["credentials"]
    path = ENVIRONMENTS["kubernetes"]["AUDIO_SERVER_HTTP_TOKEN_FILE"]
    assert path == f"{mounts['token']}/{credentials['key']}"
    (secret,) = (volume["secret"] for volume in POD["volumes"] if volume["name"] == "token")
    assert secret["secretName"] == credentials["name"]


def test_the_server_writes_only_where_it_may() -> None:
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is SERVER["read_only"] is True
    mounted = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    in_compose = {entry.split(":")[1] for entry in SERVER["volumes"]} | set(SERVER["tmpfs"])
    volumes = set(re.findall(r'"(/\w+)"', re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.M)[0]))
    assert volumes | {"/tmp"} <= mounted & in_compose
    context = POD["securityContext"]
    assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == USER


def test_variables_of_services_are_not_taken_for_settings() -> None:
    assert POD["enableServiceLinks"] is False


def service(name: str) -> Any:
    return THINGS["Service", name]["spec"]


def test_selectors_find_the_pods() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    disruption = THINGS["PodDisruptionBudget", "audio-server"]["spec"]["selector"]
    assert DEPLOYMENT["spec"]["selector"] == disruption == {"matchLabels": labels}
    assert service("audio-server")["selector"] == service("audio-server-http")["selector"] == labels
    target = THINGS["HorizontalPodAutoscaler", "audio-server"]["spec"]["scaleTargetRef"]
    assert target["name"] == DEPLOYMENT["metadata"]["name"]
    ports = {entry["name"] for entry in CONTAINER["ports"]}
    for name in ("audio-server", "audio-server-http"):
        assert {port["targetPort"] for port in service(name)["ports"]} <= ports


def test_the_monitor_finds_its_service_alone() -> None:
    monitor = THINGS["ServiceMonitor", "audio-server"]["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    services = [thing for (kind, _), thing in THINGS.items() if kind == "Service"]
    (found,) = (thing for thing in services if wanted <= thing["metadata"]["labels"].items())
    assert found["metadata"]["labels"][monitor["jobLabel"]] == "audio-server"
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in found["spec"]["ports"]}


def test_files_that_are_mounted_are_there() -> None:
    for entry in [entry for thing in COMPOSE["services"].values() for entry in thing["volumes"]]:
        source = entry.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists()
        else:
            assert source in COMPOSE["volumes"]
