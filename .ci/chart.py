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
KUBERNETES = ROOT / "deploy" / "kubernetes"
CLUSTER_PATCHES = {
    "Deployment": "with-cluster/deployment-patch.yaml",
    "Service": "with-cluster/service-patch.yaml",
}
NAME = "audio-server"
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
    "a cluster": {
        "cluster": {"existingSecret": "audio-server-cluster", "ca": True, "confirmations": 1},
        "replicas": 3,
    },
    "small": {"service": {"type": "ClusterIP"}, "disruption": {"enabled": False}},
}
REFUSED: dict[str, dict[str, Any]] = {
    "several pods on one disk": {"persistence": {"enabled": True}, "replicas": 2},
    "an age of connections that is given twice": {
        "cluster": {"existingSecret": "mine"},
        "settings": {"limits.max_age_s": 60},
    },
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
        clustered = {"cluster": {"existingSecret": "audio-server-cluster"}, "replicas": 3}
        check_beside_manifests(render(chart, clustered), CLUSTER_PATCHES, versions)
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


def check_beside_manifests(
    things: list[dict[str, Any]],
    patches: dict[str, str] | None = None,
    versions: list[str] | None = None,
) -> None:
    """Raise unless the chart runs the pod, and has the Service, that deploy/kubernetes has."""
    files = KUBERNETES.glob("*.yaml")
    there = [thing for file in files for thing in yaml.safe_load_all(file.read_text())]
    for kind, file in (patches or {}).items():
        patch = yaml.safe_load((KUBERNETES / file).read_text())
        patched = one(there, kind)
        patched.update(merged(patched, patch))
        for version in versions or ():
            kubernetes_validate.validate(patched, version, strict=True)
    ours, theirs = ((pod(of), service(of)) for of in (things, there))
    assert ours == theirs, f"{ours}\n{theirs}"


def one(things: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the thing of a kind that is for devices."""
    return next(each for each in things if (each["kind"], each["metadata"]["name"]) == (kind, NAME))


def merged(old: Any, new: Any) -> Any:
    """Return the strategic merge of a patch: null removes, things of a list go by their names."""
    if isinstance(new, dict):
        kept = {key: value for key, value in old.items() if key not in new}
        changed = {key: merged(old[key], new[key]) if key in old else new[key] for key in new}
        return {**kept, **{key: value for key, value in changed.items() if value is not None}}
    if isinstance(new, list):
        by_name = {each["name"]: each for each in old}
        for each in new:
            by_name[each["name"]] = merged(by_name.get(each["name"], {}), each)
        return list(by_name.values())
    return new


def service(things: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the Service of the devices, without the labels of the pods."""
    spec: dict[str, Any] = one(things, "Service")["spec"]
    return {key: value for key, value in spec.items() if key != "selector"}


def pod(things: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the pod of the deployment, without labels and with its variables in order."""
    spec: dict[str, Any] = one(things, "Deployment")["spec"]["template"]["spec"]
    for constraint in spec["topologySpreadConstraints"]:
        del constraint["labelSelector"]
    for container in spec["containers"]:
        container["env"].sort(key=lambda variable: variable["name"])
        container.pop("imagePullPolicy", None)
    return spec


if __name__ == "__main__":
    main(sys.argv[1:])
