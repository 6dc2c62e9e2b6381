"""Lint the Helm chart, render it with several values, and check the manifests that come out.

`python .ci/chart.py VERSION...` (of Kubernetes); `nox -s deploy` calls it. Helm's own library does
the work, which has wheels for Linux on x86-64; elsewhere nothing is checked. No cluster is asked.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "helm" / "audio-server"
WARNING = 2
"""Helm's number for a finding of the linter that is no mere advice."""

OTHERS = {"ServiceMonitor"}
"""Kinds that Kubernetes' own schemas do not have."""

CASES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "all that can be on": {
        "image": {"repository": "registry.example/audio", "tag": "9"},
        "imagePullSecrets": [{"name": "pull"}],
        "settings": {"lead_ms": 200, "limits.idle_s": 30, "grace_s": 20},
        "token": {"existingSecret": "mine"},
        "tls": {"existingSecret": "tls", "clientCa": True},
        "clips": {"existingClaim": "sounds"},
        "service": {"type": "NodePort", "annotations": {"a": "b"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "autoscaler": {"enabled": True},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    "kept": {"persistence": {"enabled": True, "storageClass": "fast"}},
    "kept elsewhere": {"persistence": {"enabled": True, "existingClaim": "mine"}},
    "small": {"service": {"type": "ClusterIP"}, "disruption": {"enabled": False}},
}
REFUSED: dict[str, dict[str, Any]] = {
    "several pods on one disk": {"persistence": {"enabled": True}, "replicas": 2},
    "a value that is none": {"replica": 2},
    "no number of replicas": {"replicas": 0},
    "a setting that is no name": {"settings": {"LEAD-MS": 1}},
}


def main(versions: list[str]) -> None:
    """Raise for a finding."""
    try:
        import helm_python as helm
    except ImportError:
        print("chart: not checked, as Helm's library is not here")
        return
    found = helm.lint(str(CHART))
    findings = [each for each in found["messages"] if each["severity"] >= WARNING]
    assert findings == [], findings
    with helm.Chart.load(str(CHART)) as chart:
        for case, values in CASES.items():
            chart.validate_schema(values)
            things = render(chart, values)
            for thing in things:
                if thing["kind"] not in OTHERS:
                    for version in versions:
                        kubernetes_validate.validate(thing, version, strict=True)
            print(f"chart: {case}: {', '.join(sorted(thing['kind'] for thing in things))}")
        check_beside_manifests(render(chart, {}))
        for case, values in REFUSED.items():
            refuse(helm, chart, case, values)


def render(chart: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the manifests of a release."""
    made = chart.render(values, name="audio-server", namespace="prod")
    texts = [text for name, text in made.items() if name.endswith(".yaml")]
    return [thing for text in texts for thing in yaml.safe_load_all(text) if thing]


def refuse(helm: Any, chart: Any, case: str, values: dict[str, Any]) -> None:
    """Raise unless the chart refuses these values."""
    try:
        chart.validate_schema(values)
        render(chart, values)
    except helm.HelmError as error:
        print(f"chart: refused: {case}: {str(error).strip().splitlines()[-1]}")
    else:
        raise AssertionError(f"not refused: {case}")


def check_beside_manifests(things: list[dict[str, Any]]) -> None:
    """Raise unless the chart, as it comes, runs the pod that deploy/kubernetes runs."""
    files = (ROOT / "deploy" / "kubernetes").glob("*.yaml")
    there = [thing for file in files for thing in yaml.safe_load_all(file.read_text())]
    ours, theirs = (pod(of) for of in (things, there))
    assert ours == theirs, f"{ours}\n{theirs}"


def pod(things: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the pod of the deployment, without labels and with its variables in order."""
    (deployment,) = (thing for thing in things if thing["kind"] == "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    for constraint in spec["topologySpreadConstraints"]:
        del constraint["labelSelector"]
    for container in spec["containers"]:
        container["env"].sort(key=lambda variable: variable["name"])
        container.pop("imagePullPolicy", None)
    return spec


if __name__ == "__main__":
    main(sys.argv[1:])
