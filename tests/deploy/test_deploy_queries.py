"""Queries of dashboard and alerts are PromQL, and about metrics that there are."""

from __future__ import annotations

import re
from functools import partial

import promql_parser
import pytest
from deployed import ADAPTER, DASHBOARD, DEPLOY, PROMETHEUS, ROOT, RULES, THINGS, documents
from grpclib.const import Status
from prometheus_client.parser import text_string_to_metric_families

from audio_server.device.live_channel import LiveChannel
from audio_server.live.metrics import readings
from audio_server.metrics import families as of
from audio_server.metrics.shared_registry import SharedRegistry

PANELS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
NOTES = [note["expr"] for note in DASHBOARD["annotations"]["list"]]
ALERTS = [rule["expr"] for rule in RULES]
VALUES = {
    (family.name, label): {labels[number] for labels in family.series}
    for family in of.FAMILIES
    for number, label in enumerate(family.labels)
}
GUIDE = (ROOT / "docs/operating.md").read_text()


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """The labels that each sample may have, besides those that Prometheus gives it."""
    board = SharedRegistry()
    row = board.row()
    row.call_ended("/", Status.OK)
    row.certificate_ends("server", 1.0)
    found: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate"}}
    for family in text_string_to_metric_families(
        board.text(partial(readings, [LiveChannel("radio")]))
    ):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", [*PANELS, *NOTES, *ALERTS])
def test_a_query_is_promql_about_what_is_there(query: str, labels: dict[str, set[str]]) -> None:
    for variable, value in (("$__rate_interval", "5m"), ("$job", ".*")):
        query = query.replace(variable, value)
    promql_parser.parse(query)
    asked = re.findall(r"\b((?:audio_server|process)_\w+|up|ALERTS)\b(?:{([^}]*)})?", query)
    assert asked
    for name, matchers in asked:
        assert name in labels
        told = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
        assert told <= labels[name] | {"job", "instance"}
        for label, value in re.findall(r'(\w+)="(\w+)"', matchers):
            assert value in VALUES.get((name, label), {value})


def test_the_dashboard_is_red_where_an_alert_is() -> None:
    limits = {
        re.sub(r".*\b(audio_server_\w+)_bucket\b.*", r"\1", rule["expr"]): float(found[1])
        for rule in RULES
        if (found := re.search(r"histogram_quantile.* > ([\d.]+)$", rule["expr"]))
    }
    assert len(limits) == 3
    for panel in DASHBOARD["panels"]:
        (metric,) = {*re.findall(r"(audio_server_\w+)_bucket", panel["targets"][0]["expr"])} or {
            None
        }
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        if metric in limits:
            assert steps[-1] == {"color": "red", "value": limits[metric]}, panel["title"]


def test_every_alert_is_tried_and_in_the_guide() -> None:
    """`promtool test rules` tries them, where there is one (`nox -s deploy`)."""
    tried = (DEPLOY / "prometheus/alerts.test.yml").read_text()
    for rule in RULES:
        assert {"severity"} == set(rule["labels"])
        assert {"summary", "description"} == set(rule["annotations"])
        assert rule["alert"] in tried
        assert f"`{rule['alert']}`" in GUIDE
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_prometheus_reads_the_rules_that_are_there() -> None:
    assert PROMETHEUS["rule_files"] == ["/etc/prometheus/alerts.yml"]
    (job,) = PROMETHEUS["scrape_configs"]
    jobs = {name for query in ALERTS for name in re.findall(r'job="([^"]*)"', query)}
    assert jobs == {job["job_name"]}


def test_the_autoscaler_knows_its_metric(labels: dict[str, set[str]]) -> None:
    (metric,) = THINGS["HorizontalPodAutoscaler", "audio-server"]["spec"]["metrics"]
    (rule,) = ADAPTER
    name = metric["pods"]["metric"]["name"]
    assert rule["name"]["as"] == name
    assert name in labels
    assert f'__name__="{name}"' in rule["seriesQuery"]
    promql_parser.parse(rule["seriesQuery"])


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    (source,) = documents("grafana/provisioning/datasources/prometheus.yml")[0]["datasources"]
    assert source["type"] == DASHBOARD["templating"]["list"][0]["query"]
    (provider,) = documents("grafana/provisioning/dashboards/audio-server.yml")[0]["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
