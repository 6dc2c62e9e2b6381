"""The text for Prometheus as its own parser reads it, and as promtool would criticise it."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

_NAME = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]")
_UNITS = ("seconds", "bytes")


class Read:
    """What a text says: the value of a series by its name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples: Samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """The value of a series; 0 for one that is not shown. `name` is without our prefix."""
        full = name if name.startswith("process_") else f"audio_server_{name}"
        return self.samples.get((full, tuple(sorted(labels.items()))), 0.0)

    def total(self, name: str) -> float:
        """The sum over all labels."""
        full = f"audio_server_{name}"
        return sum(value for (found, _), value in self.samples.items() if found == full)


def complaints(text: str) -> list[str]:
    """What is wrong with a text, as `promtool check metrics` has it."""
    found = []
    names = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    for name, kind in names:
        if not _NAME.fullmatch(name):
            found.append(f"{name}: not in snake case")
        if not helps.get(name):
            found.append(f"{name}: no help")
        if (kind == "counter") != name.endswith("_total"):
            found.append(f"{name}: only counters end in _total, and they all do")
        if re.search(r"_(count|sum|bucket|info)$", name) and name != "audio_server_build_info":
            found.append(f"{name}: ends as only a part of a histogram does")
        if kind == "histogram" and not name.endswith(_UNITS):
            found.append(f"{name}: no base unit")
        if re.search(r"_(ms|us|milliseconds|kb|kilobytes|percent)(_|$)", name):
            found.append(f"{name}: no base unit")
    if len({name for name, _ in names}) != len(names):
        found.append("a name twice")
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    found += [f"{line}: twice" for line in {line for line in series if series.count(line) > 1}]
    return found
