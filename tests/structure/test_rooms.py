"""The rooms of the tree and the imports between them, as data.

A room is a folder, or a part of one. An import that the table does not allow fails the test, and
so does an entry that no import uses: the table shows the tree as it is.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from imports import PACKAGE, Import, imports_of, modules_of

ROOMS = {
    "rpc.http2": "rpc/http2",
    "rpc.io": "rpc/io",
    "cluster.engine": "cluster/terms",  # values that all of cluster shares
    "cluster.instrumentation": "cluster/terms",
    "rpc.errors": "rpc/terms",  # values that all of rpc shares
    "rpc.limits": "rpc/terms",
    "rpc.proxy_header": "rpc/terms",
    "rpc.rate_limit": "rpc/terms",
    "rpc.trusted_proxies": "rpc/terms",
}
"""Modules whose room is not their folder; of several prefixes the longest counts."""

TABLE = """
__main__: cli
app: assembly clips cluster device fleet identity live metrics process service settings state web
assembly: clips cluster device files fleet groups identity metrics process rpc service settings
cli: app client clips cluster errors files groups identity judge names process rpc/terms settings
    state wire workers
client: clips identity process rpc
clips: files names wire
cluster: clips cluster/terms device errors files groups identity rpc rpc/terms service settings wire
device: wire
files: errors
fleet: clips cluster device judge names wire
groups: clips device errors files names settings wire
identity: errors files rpc/io rpc/terms settings wire
judge: clips device identity process rpc rpc/terms service settings wire
live: clips cluster cluster/terms device errors files metrics settings wire
metrics: cluster/terms device rpc
process: rpc rpc/terms settings
rpc: rpc/http2 rpc/io rpc/terms
rpc/http2: rpc/terms
rpc/io: rpc/terms
service: device identity rpc rpc/terms wire
settings: clips cluster/terms files rpc/terms
simulator: clips errors identity process rpc wire
state: device errors files wire
web: clips device errors files fleet groups identity judge live metrics names process rpc rpc/io
    rpc/terms settings simulator wire
wire: rpc
workers: assembly clips cluster device fleet groups identity live metrics process service settings
    web
"""
"""Each room, and the rooms that it may import."""

ALLOWED = {
    room: set(others.split())
    for room, others in re.findall(r"^(\S+):((?:\s+[^\s:]+)+)$", TABLE, re.M)
}


DOOR = ""
"""The package itself hands on the names of `app`, at their first use; nothing imports it."""

LOOSE_MODULES = {"app", "assembly", "errors", "names"}
"""The modules of the root, besides `__main__` and the public door."""


def room_of(module: str) -> str:
    """Return the room of a module: its entry in `ROOMS`, else its top folder, else itself."""
    prefix = module
    while prefix:
        if prefix in ROOMS:
            return ROOMS[prefix]
        prefix = prefix.rpartition(".")[0]
    return module.partition(".")[0]


def arrows(imports: list[Import]) -> dict[tuple[str, str], list[str]]:
    """Return for each pair of rooms the imports from the one to the other."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in imports:
        pair = room_of(one.importer), room_of(one.imported)
        if pair[0] != pair[1] and one.importer != DOOR:
            found.setdefault(pair, []).append(f"{one.importer} -> {one.imported}")
    return found


def breaches(imports: list[Import]) -> list[str]:
    """Return the imports that `ALLOWED` does not allow."""
    return [
        line
        for (room, other), lines in arrows(imports).items()
        if other not in ALLOWED.get(room, set())
        for line in lines
    ]


def cycle_of(graph: dict[str, set[str]]) -> list[str]:
    """Return a cycle of the graph, empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def runtime_graph(imports: list[Import]) -> dict[str, set[str]]:
    """Return which modules each module imports when it runs."""
    graph: dict[str, set[str]] = {}
    for one in imports:
        if one.at_runtime:
            graph.setdefault(one.importer, set()).add(one.imported)
    return graph


def test_imports_keep_to_the_table() -> None:
    assert breaches(imports_of()) == []


def test_the_table_has_no_cycle() -> None:
    assert cycle_of(ALLOWED) == []


def test_the_table_allows_nothing_that_is_not_used() -> None:
    used = arrows(imports_of())
    listed = {(room, other) for room in ALLOWED for other in ALLOWED[room]}
    unused = listed - used.keys()
    assert unused == set()


def test_modules_import_each_other_in_no_cycle() -> None:
    assert cycle_of(runtime_graph(imports_of())) == []


def test_the_root_has_few_loose_modules() -> None:
    loose = {name for name in modules_of() if "." not in name and not (PACKAGE / name).is_dir()}
    assert loose - {DOOR, "__main__"} == LOOSE_MODULES


def test_rpc_is_a_library_of_its_own() -> None:
    outside = {
        other
        for (room, other) in arrows(imports_of())
        if room.startswith("rpc") and not other.startswith("rpc")
    }
    assert outside == set()


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A package with an arrow that runs back up, behind TYPE_CHECKING and in a function."""
    package = tmp_path / "audio_server"
    for room in ("device", "service"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").touch()
    (package / "device" / "player.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from audio_server.service.call import Call\n"
    )
    (package / "service" / "call.py").write_text(
        "def f():\n    from audio_server.device import player\n"
    )
    return package


def test_an_import_back_up_is_found(planted: Path) -> None:
    assert breaches(imports_of(planted)) == ["device.player -> service.call"]


def test_a_cycle_of_modules_is_found(planted: Path) -> None:
    assert cycle_of(runtime_graph(imports_of(planted))) == []
    (planted / "device" / "player.py").write_text("import audio_server.service.call\n")
    assert cycle_of(runtime_graph(imports_of(planted)))
