"""What is made of the cells: medians, the file, tables, the plot."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.cell import Cell, doubts
from benchmarks.machine import Cores
from benchmarks.orders import Report
from benchmarks.plot import draw
from benchmarks.report import outcome, show
from benchmarks.results import Limit, Results, holds, median_cell
from benchmarks.smoke import SMOKE_COURSE, complaints


def cell(server: str = "audio-server", devices: int = 100, cost: float = 5.0) -> Cell:
    return Cell(
        server,
        devices,
        cpu_us_per_packet=cost,
        packets_per_s=devices * 50.0,
        late={"share": 0.0},
        arrival={"arrived": SMOKE_COURSE.arriving},
        play_storm={"first_count": devices, "ack_count": devices},
        mode_storm={"leds_count": devices},
        stop_storm={"end_count": devices},
        steady={"ack_count": 3},
        joining={"joined": SMOKE_COURSE.joining},
    )


def test_repeats_become_medians_and_keep_what_went_wrong() -> None:
    cells = [cell(cost=cost) for cost in (5.0, 50.0, 6.0)]
    cells[1].fell_behind = "slow"
    cells[2].warnings.append("load")
    merged = median_cell(cells)
    assert merged.cpu_us_per_packet == 6.0
    assert merged.fell_behind == "slow"
    assert merged.warnings == ["load"]
    assert merged.late == {"share": 0.0}


def test_a_server_holds_what_it_serves_with_few_late_packets() -> None:
    assert holds(cell())
    late = cell()
    late.late["share"] = 1e-4
    assert not holds(late)
    assert outcome(late) == "late packets"
    behind = cell()
    behind.fell_behind = "slow"
    assert not holds(behind)
    assert not holds(Cell("audio-server", 100))


def test_results_survive_their_file(tmp_path: Path) -> None:
    results = Results({"seconds": 1}, [cell(), Cell("grpc.aio", 100)], [Limit("x", 1, 5, 6)])
    results.write(tmp_path / "bench.json")
    text = (tmp_path / "bench.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["machine"]["cores"] > 0
    back = Results.read(tmp_path / "bench.json")
    assert back.cells[0].cpu_us_per_packet == 5.0
    assert math.isnan(back.cells[1].cpu_us_per_packet)
    assert back.limits == results.limits


@pytest.mark.parametrize(
    ("report", "waited_share", "words"),
    [
        (Report(cpu_share=0.5, lag_p99_s=0.005, lag_worst_s=1.0), 0.01, []),
        (Report(cpu_share=0.9), 0.0, ["the load side"]),
        (Report(lag_p99_s=0.02), 0.0, ["the load side"]),
        (Report(), 0.05, ["others had the server's core for 5.0%"]),
        (Report(cpu_share=0.9), 0.05, ["the load side", "others"]),
    ],
)
def test_a_slow_load_side_and_a_busy_machine_are_said(
    report: Report, waited_share: float, words: list[str]
) -> None:
    said = list(doubts(report, waited_share))
    assert len(said) == len(words)
    assert all(doubt.startswith(word) for doubt, word in zip(said, words, strict=True))


def test_tables_show_ratios_limits_and_warnings() -> None:
    slow = cell("grpc.aio", cost=50.0)
    slow.warnings.append("the load side was the bottleneck")
    console = Console(record=True, width=200, file=StringIO())
    show(Results({}, [cell(), slow], [Limit("grpc.aio", 1, 400, 460)]), console)
    text = console.export_text()
    assert "10.0" in text
    assert "460" in text
    assert "! grpc.aio, 100 devices: the load side was the bottleneck" in text


def test_the_plot_has_a_line_for_each_server_and_a_hollow_dot_for_who_fell_behind() -> None:
    behind = cell("grpc.aio", 400, 50.0)
    behind.fell_behind = "slow"
    svg = draw([cell(), cell(devices=400), cell("grpc.aio", cost=90.0), behind, Cell("x", 1)])
    root = ET.fromstring(svg)
    paths = root.findall(".//{*}path[@class='line']")
    assert len(paths) == 2
    assert len(root.findall(".//{*}circle")) == 4
    assert len(root.findall(".//{*}circle[@class='behind']")) == 1
    assert "prefers-color-scheme: dark" in svg


def test_tls_has_medians_names_and_a_broken_line_of_its_own() -> None:
    cells = [cell(cost=4.0), cell(cost=6.0)]
    cells[1].tls = True
    summary = Results({}, cells).summary()
    assert [each.cpu_us_per_packet for each in summary] == [4.0, 6.0]
    console = Console(record=True, width=200, file=StringIO())
    show(Results({}, cells, [Limit("audio-server", 1, 400, 0, tls=True)]), console)
    assert console.export_text().count("audio-server, TLS") == 5
    root = ET.fromstring(draw(cells))
    (broken,) = root.findall(".//{*}path[@class='tls line']/..")
    (whole,) = root.findall(".//{*}path[@class='line']/..")
    assert broken.get("class") == whole.get("class")


def test_one_cell_is_a_plot_too_and_none_is_not() -> None:
    ET.fromstring(draw([cell()]))
    with pytest.raises(ValueError, match="no server was measured"):
        draw([Cell("x", 1)])


def test_cores_are_shared_only_where_there_are_too_few() -> None:
    assert Cores.plan([0, 1, 2, 3]) == Cores((0,), (1, 2, 3), shared=False)
    assert Cores.plan([0, 1], workers=4) == Cores((0, 1), (0, 1), shared=True)
    assert Cores.plan([7]) == Cores((7,), (7,), shared=True)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("play_storm", {"first_count": 99, "ack_count": 100}),
        ("play_storm", {"first_count": 100, "ack_count": 99}),
        ("arrival", {"arrived": 2}),
        ("stop_storm", {"end_count": 99}),
        ("mode_storm", {"leds_count": 99}),
        ("steady", {}),
        ("joining", {"joined": 0}),
        ("faults", {"a packet outside a take": 1}),
        ("packets_per_s", 0.0),
        ("failed", "it did not start"),
    ],
)
def test_the_short_form_complains(part: str, wrong: object) -> None:
    right = cell()
    assert not list(complaints(right))
    setattr(right, part, wrong)
    assert list(complaints(right))
