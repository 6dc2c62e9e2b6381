"""What is in deploy/, read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def documents(name: str) -> list[dict[str, Any]]:
    """All documents of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def kubernetes() -> dict[tuple[str, str], dict[str, Any]]:
    """All that is for Kubernetes, by kind and name."""
    files = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
    found = [thing for file in files for thing in yaml.safe_load_all(file.read_text())]
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in found if "kind" in thing}


COMPOSE = documents("compose.yaml")[0]
SERVER = COMPOSE["services"]["server"]
CLUSTER = documents("cluster/compose.yaml")[0]["services"]
PROMETHEUS = documents("prometheus/prometheus.yml")[0]
RULES = [
    rule for group in documents("prometheus/alerts.yml")[0]["groups"] for rule in group["rules"]
]
ADAPTER = documents("kubernetes/with-prometheus/adapter-values.yaml")[0]["rules"]["custom"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/audio-server.json").read_text())

THINGS = kubernetes()
DEPLOYMENT = THINGS["Deployment", "audio-server"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "compose": SERVER["environment"],
    "cluster": CLUSTER["one"]["environment"],
    "kubernetes": {variable["name"]: variable["value"] for variable in CONTAINER["env"]},
}


def port_of(environment: dict[str, str]) -> int:
    """Where the pages are."""
    return int(environment["AUDIO_SERVER_HTTP"].rpartition(":")[2])
