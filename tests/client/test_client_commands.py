"""Commands that ask a server: what they ask, what they print, how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from client_run import Run
from fake_api import NOW, SOUND, FakeServer, event, playing, row
from starlette.responses import JSONResponse


def test_devices_are_listed_in_columns(fake: FakeServer, run: Run) -> None:
    press = {"button": "mode", "at": NOW - 5}
    nine_is = {"name": "Hall\x1b[2J", "last_press": press, "node": "n-9"}
    fake.rows = [playing("device-10"), row("device-9", **nine_is)]
    status, out, err = run("devices")
    assert (status, err) == (0, "")
    headings, nine, ten = out.splitlines()
    assert headings.split()[:6] == ["id", "state", "mode", "name", "leds", "press"]
    assert nine.split()[:8] == [
        "device-9",
        "idle",
        "2",
        "triangle",
        "Hall\\x1b[2J",
        "●●□◆▲●",
        "mode",
        "5s",
    ]
    assert nine.split()[8:] == ["1h", "0", "-", "-", "-", "10.0.0.7:51234", "n-9", "-", "-"]
    assert ten.startswith("device-10  bell 0:01/0:12")


def test_devices_of_a_cluster_are_listed_page_by_page(fake: FakeServer, run: Run) -> None:
    fake.rows = [row(f"d{number}") for number in range(5)]
    fake.page = 2
    assert [line.split()[0] for line in run("devices").out.splitlines()[1:]] == [
        "d0", "d1", "d2", "d3", "d4",
    ]  # fmt: skip
    assert [query for _, _, query in fake.asked] == [{}, {"cursor": "2"}, {"cursor": "4"}]
    fake.missing = ["b\x1b:50052"]
    status, out, err = run("devices")
    assert (status, len(out.splitlines())) == (1, 6)
    assert err == "audio-server: no answer from b\\x1b:50052: devices there are left out\n"
    fake.rows, fake.page = [row("hall", node="b:50052")], None
    assert "node b:50052" in run("devices", "show", "hall").out


@pytest.mark.parametrize(
    "command",
    ["play bell --all", "stop --all", "press mode --all", "announce bell --all", "tag lobby --all"],
)
def test_nodes_that_gave_no_answer_are_named(fake: FakeServer, run: Run, command: str) -> None:
    fake.answer = {"id": "a", "done": 7, "gone": [], "failed": {}, "missing": ["b:1", "cluster"]}
    status, out, err = run(*command.split())
    assert status == 1
    assert "7 devices" in out
    assert err == "audio-server: no answer from b:1, cluster\n"


def test_devices_for_programs(fake: FakeServer, run: Run) -> None:
    fake.rows = [row("hall")]
    document = json.loads(run("devices", "--json").out)
    assert document == {"now": NOW, "rows": [row("hall")]}
    assert json.loads(run("devices", "show", "hall", "--json").out) == row("hall")


@pytest.mark.parametrize(
    ("flags", "order"),
    [
        (("--sort", "errors"), "c a b"),
        (("--sort", "errors", "--reverse"), "b a c"),
        (("--sort", "state"), "b a c"),
        (("--sort", "lead"), "b a c"),
        (("--sort", "name"), "a c b"),
        (("--sort", "press"), "c a b"),
        (("--sort", "since"), "a b c"),
        (("--sort", "worker"), "a b c"),
        (("--sort", "node"), "c b a"),
    ],
)
def test_devices_are_sorted(fake: FakeServer, run: Run, flags: list[str], order: str) -> None:
    fake.rows = [
        row("c", name="B", errors=2, last_press={"button": "play", "at": NOW}, node="b:2"),
        row("a", name="A"),
        playing("b", node="b:10"),
    ]
    lines = run("devices", *flags).out.splitlines()
    assert [line[0] for line in lines[1:]] == order.split()


@pytest.mark.parametrize(
    ("flags", "query"),
    [
        ("--errors", {"errors": "true"}),
        ("--leds-differ", {"leds": "differ"}),
        ("--firmware 2.7.1", {"firmware": "2.7.1"}),
        ("--tag lobby", {"tag": "lobby"}),
        ("--search Küche", {"q": "Küche"}),
        ("--offline", {"state": "offline"}),
        ("--all", {"state": "all"}),
        ("--all --errors --firmware 2", {"state": "all", "errors": "true", "firmware": "2"}),
        ("--offline --leds-differ", {"state": "offline", "leds": "differ"}),
    ],
)
def test_devices_are_filtered_by_the_server(
    fake: FakeServer, run: Run, flags: str, query: dict[str, str]
) -> None:
    fake.rows = [row("hall")]
    assert run("devices", *flags.split()).status == 0
    assert fake.asked == [("GET", "/api/devices", query)]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--offline --all", "give either --offline or --all"),
        ("--tag a+b", "a tag has 1 to 32 letters"),
        ("--errors=maybe", "maybe"),
        ("--firmware", "--firmware"),
        ("--leds differ", "--leds"),
    ],
)
def test_a_wrong_filter_is_one_line_and_asks_nothing(
    fake: FakeServer, run: Run, flags: str, told: str
) -> None:
    status, out, err = run("devices", *flags.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert fake.asked == []


GROUP = {
    "name": "lobby",
    "source": "api",
    "settings": {"lead_ms": 200},
    "clips": None,
    "devices": 2,
    "connected": 1,
}


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ("", ("GET", "/api/groups", {"all": "true"})),
        ("show lobby", ("GET", "/api/groups/lobby", {})),
        ("show a.b", ("GET", "/api/groups/a.b", {})),
        (
            "set lobby lead_ms=200 stop_goes=keep clips=a=b",
            ("PATCH", "/api/groups/lobby", {"lead_ms": 200, "stop_goes": "keep", "clips": "a=b"}),
        ),
        ("unset lobby lead_ms", ("PATCH", "/api/groups/lobby", {"lead_ms": None})),
        ("delete Lobby", ("DELETE", "/api/groups/lobby", {})),
    ],
)
def test_groups_are_asked_for(fake: FakeServer, run: Run, argv: str, asked: object) -> None:
    fake.group = GROUP
    status, out, err = run("groups", *argv.split())
    assert (status, err) == (0, "")
    assert "lobby" in out
    assert fake.asked == [asked]
    assert "lobby" in str(json.loads(run("groups", *argv.split(), "--json").out))


def test_groups_where_there_are_none_and_of_nodes_that_are_missing(
    fake: FakeServer, run: Run
) -> None:
    assert run("groups") == (0, "there are no groups\n", "")
    fake.group = {**GROUP, "missing": ["b:1"]}
    for argv in ((), ("show", "lobby")):
        status, out, err = run("groups", *argv)
        assert (status, "lobby" in out) == (1, True)
        assert err == "audio-server: no answer from b:1: devices there are left out\n"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ("set lobby", "which settings? Give KEY=VALUE"),
        ("set lobby lead_ms", "lead_ms: give KEY=VALUE"),
        ("set lobby lead_ms=5", "groups.lobby.lead_ms must be a whole number from 60 to 2000"),
        ("set lobby lead_ms=60.5", "groups.lobby.lead_ms must be a whole number"),
        ("set lobby lead_ms=", "groups.lobby.lead_ms must be a whole number"),
        ("set lobby stop_goes=away", "groups.lobby.stop_goes must be home or keep"),
        ("set lobby clips=", "groups.lobby.clips must be a path of a folder"),
        ("set lobby lead=5", "groups.lobby: unknown setting: lead; there are clips, lead_ms"),
        ("set lobby --lead=5", "there is no such option: --lead=5"),
        ("unset lobby", "which settings? Give a KEY"),
        ("unset lobby lead", "lead: no such setting; there are clips, lead_ms"),
        ("show a+b", "a tag has 1 to 32 letters"),
        ("show", "NAME requires an argument"),
        ("remove lobby", "Unknown command or argument: remove"),
    ],
)
def test_a_mistake_about_a_group_is_one_line_and_asks_nothing(
    fake: FakeServer, run: Run, argv: str, told: str
) -> None:
    status, out, err = run("groups", *argv.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert fake.asked == []


def test_a_device_is_shown(fake: FakeServer, run: Run) -> None:
    fake.rows = [playing("hall", battery=0.8, errors=1, last_error="late", worker=2)]
    facts = dict(line.split(maxsplit=1) for line in run("devices", "show", "hall").out.splitlines())
    assert facts["battery"] == "80%"
    assert facts["errors"] == "1, the last: late"
    assert facts["connected"].endswith("from 10.0.0.7:51234, worker 2")
    fake.rows = [row("hall", connected=False)]
    assert "connected        no\n" in run("devices", "show", "hall").out


@pytest.mark.parametrize(
    ("argv", "asked", "out"),
    [
        (
            ("play", "bell", "hall", "attic", "hall"),
            ("POST", "/api/play", {"devices": ["hall", "attic"], "clip": "bell"}),
            "bell plays on 1 device\n",
        ),
        (
            ("play", "bell", "--all"),
            ("POST", "/api/play", {"devices": "all", "clip": "bell"}),
            "bell plays on 1 device\n",
        ),
        (
            ("play", "--live", "radio", "hall", "attic"),
            ("POST", "/api/play", {"devices": ["hall", "attic"], "live": "radio"}),
            "radio plays on 1 device\n",
        ),
        (
            ("play", "--live", "radio", "--tag", "Lobby"),
            ("POST", "/api/play", {"devices": {"tag": "lobby"}, "live": "radio"}),
            "radio plays on 1 device\n",
        ),
        (("stop", "hall"), ("POST", "/api/stop", {"devices": ["hall"]}), "stopped 1 device\n"),
        (("stop", "--all"), ("POST", "/api/stop", {"devices": "all"}), "stopped 1 device\n"),
        (
            ("play", "bell", "--tag", "Lobby"),
            ("POST", "/api/play", {"devices": {"tag": "lobby"}, "clip": "bell"}),
            "bell plays on 1 device\n",
        ),
        (
            ("stop", "--tag", "lobby"),
            ("POST", "/api/stop", {"devices": {"tag": "lobby"}}),
            "stopped 1 device\n",
        ),
        (
            ("press", "mode", "--tag", "lobby"),
            ("POST", "/api/press", {"devices": {"tag": "lobby"}, "button": "mode"}),
            "mode pressed on 1 device\n",
        ),
        (
            ("press", "--all", "stop"),
            ("POST", "/api/press", {"devices": "all", "button": "stop"}),
            "stop pressed on 1 device\n",
        ),
        (
            ("tag", "lobby", "hall", "attic"),
            ("POST", "/api/tags", {"devices": ["hall", "attic"], "add": ["lobby"], "remove": []}),
            "lobby is a tag of 1 device\n",
        ),
        (
            ("untag", "lobby", "--tag", "east"),
            ("POST", "/api/tags", {"devices": {"tag": "east"}, "add": [], "remove": ["lobby"]}),
            "lobby is no tag of 1 device\n",
        ),
        (
            ("rename", "hall", "The Hall"),
            ("PATCH", "/api/devices/hall", {"name": "The Hall"}),
            "hall is called The Hall\n",
        ),
        (
            ("rename", "hall", "--none"),
            ("PATCH", "/api/devices/hall", {"name": None}),
            "hall has no name now\n",
        ),
    ],
)
def test_actions(fake: FakeServer, run: Run, argv: list[str], asked: object, out: str) -> None:
    assert run(*argv) == (0, out, "")
    assert fake.asked == [asked]
    assert json.loads(run(*argv, "--json").out) == fake.answer


def test_a_press_says_what_has_become_of_the_device(fake: FakeServer, run: Run) -> None:
    fake.answer = row("hall")
    assert run("press", "hall", "mode") == (0, "hall: mode 2 triangle, idle\n", "")
    assert fake.asked == [("POST", "/api/devices/hall/press", {"button": "mode"})]
    assert json.loads(run("press", "hall", "mode", "--json").out) == row("hall")


def test_an_id_is_no_path(fake: FakeServer, run: Run) -> None:
    fake.answer = row("..")
    assert run("press", "..", "mode").status == 0
    assert fake.asked == [("POST", "/api/devices/../press", {"button": "mode"})]


def test_a_refusal_names_the_device(fake: FakeServer, run: Run) -> None:
    fake.refusal = JSONResponse({"error": "no such device is connected"}, 404)
    line = "audio-server: hall: no such device is connected\n"
    for argv in ("devices show hall", "press hall stop", "rename hall x", "logs hall"):
        assert run(*argv.split()) == (1, "", line)


def test_what_is_done_in_part_fails(fake: FakeServer, run: Run) -> None:
    gone = [f"d{number}" for number in range(1200)]
    fake.answer = {"done": 1300, "gone": gone, "failed": {"attic": "has no\nsound"}}
    status, out, err = run("stop", "--all")
    assert (status, out) == (1, "stopped 1,300 devices\n")
    assert err.startswith("audio-server: d0: no such device is connected; d1: no such device")
    assert err.endswith("; and 1,196 more\n")
    fake.answer = {"done": 0, "gone": [], "failed": {"attic": "has no\nsound"}}
    assert run("stop", "--all") == (1, "", "audio-server: attic: has no\\nsound\n")
    status, out, _ = run("stop", "--all", "--json")
    assert (status, json.loads(out)) == (1, fake.answer)


def test_logs_are_what_happened(fake: FakeServer, run: Run) -> None:
    fake.past = [event(1, "hall", "Play\x07 pressed"), event(4, "attic", "gone")]
    first, second = run("logs").out.splitlines()
    assert first.endswith("  hall  Play\\x07 pressed")
    assert second.endswith("  attic  gone")
    lines = run("logs", "hall", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == fake.past
    paths = [path for _, path, _ in fake.asked]
    assert paths == ["/api/events", "/api/devices/hall/events"]


def test_logs_that_follow_tell_each_thing_once(fake: FakeServer, run: Run) -> None:
    fake.past = [event(1, "hall", "one"), event(2, "hall", "two")]
    told = [event(2, "hall", "two"), event(0, "hall", "three")]  # of another worker
    fake.streamed = [("event", one) for one in told]
    status, out, err = run("logs", "--follow")
    assert [line.rpartition(" ")[2] for line in out.splitlines()] == ["one", "two", "three"]
    assert (status, err) == (1, f"audio-server: {fake.url}: has ended this\n")


def test_changes_for_programs(fake: FakeServer, run: Run) -> None:
    fake.streamed = [("all", {"now": NOW, "rows": [row("hall")]}), ("changes", {"gone": ["hall"]})]
    status, out, _ = run("top", "--json")
    first, second = map(json.loads, out.splitlines())
    assert status == 1  # the server has ended it
    assert first == {"event": "all", "now": NOW, "rows": [row("hall")]}
    assert second == {"event": "changes", "gone": ["hall"]}


def test_devices_that_are_away_are_listed_if_asked_for(fake: FakeServer, run: Run) -> None:
    away = {"connected": False, "since": NOW - 90_000, "last_seen": NOW - 90_000}
    fake.rows = [row("hall", **away, tags=["east", "lobby"])]
    out = run("devices", "--offline", "--tag", "lobby", "--search", "hall").out
    assert fake.asked == [
        ("GET", "/api/devices", {"state": "offline", "tag": "lobby", "q": "hall"})
    ]
    assert out.splitlines()[1].split()[:3] == ["hall", "away", "1d"]
    assert out.rstrip().endswith("east, lobby")
    run("devices", "--all")
    assert fake.asked[-1][2] == {"state": "all"}
    facts = run("devices", "show", "hall").out
    assert "east, lobby\n" in facts
    assert "no, last seen 2027-01-1" in facts
    status, _, err = run("devices", "--offline", "--all")
    assert (status, "either --offline or --all" in err) == (2, True)


def test_devices_are_forgotten(fake: FakeServer, run: Run) -> None:
    fake.answer = {"id": "hall"}
    assert run("devices", "forget", "hall") == (0, "hall is forgotten\n", "")
    assert fake.asked == [("DELETE", "/api/devices/hall", {})]
    fake.refusal = JSONResponse({"error": "it is connected"}, 409)
    assert run("devices", "forget", "hall") == (1, "", "audio-server: hall: it is connected\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("press", "hall"), "give the ID of a device and a BUTTON"),
        (("press", "hall", "mode", "--tag", "x"), "give one BUTTON"),
        (("press", "bell", "--tag", "x"), "give one BUTTON"),
        (("play", "bell", "hall", "--tag", "x"), "--tag NAME, or --all"),
        (("play",), "play needs a clip: its name or mode, or --live NAME"),
        (("play", "bell", "-x"), "there is no such option: -x"),
        (("play", "bell", "two words"), "a device id is"),
        (("play", "--live", "radio"), "--tag NAME, or --all"),
        (("stop", "--tag", "x", "--all"), "--tag NAME, or --all"),
        (("tag", "lobby"), "--tag NAME, or --all"),
        (("tag", "two words", "hall"), "a tag has 1 to 32 letters"),
        (("devices", "--tag", "-x"), ""),
    ],
)
def test_a_group_that_is_not_clear(fake: FakeServer, run: Run, argv: list[str], words: str) -> None:
    status, out, err = run(*argv)
    assert (status, out, words in err) == (2, "", True), err
    assert len(err.splitlines()) == 1
    assert fake.asked == []


RECORDING = {
    "name": "radio-20261129T200000Z.opus",
    "channel": "radio",
    "begun": NOW,
    "seconds": 3725.2,
    "bytes": 5 << 20,
    "running": True,
}


def test_recordings_are_listed(fake: FakeServer, run: Run) -> None:
    fake.recordings = []
    assert run("live", "recordings") == (0, "there are no recordings\n", "")
    fake.recordings = [RECORDING]
    status, out, _ = run("live", "recordings")
    headings, line = out.splitlines()
    assert status == 0
    assert headings.split() == ["recording", "channel", "begun", "duration", "size"]
    assert line.split()[:2] == ["radio-20261129T200000Z.opus", "radio"]
    assert line.endswith("62:05 so far  5.0 MiB")
    assert json.loads(run("live", "recordings", "--json").out) == {"recordings": [RECORDING]}


def test_recordings_are_deleted_and_become_clips(fake: FakeServer, run: Run) -> None:
    fake.answer = {"name": "x.opus"}
    assert run("live", "recordings", "delete", "x.opus", "y.opus").out == (
        "x.opus is deleted\ny.opus is deleted\n"
    )
    fake.answer = {"clips": [{"mode": 0, "title": "home"}, {"mode": 1, "title": "Mass"}]}
    made = run("live", "recordings", "clip", "x.opus", "--title", "Mass")
    assert made == (0, "Mass is the clip of mode 1\n", "")
    assert fake.asked == [
        ("DELETE", "/api/recordings/x.opus", {}),
        ("DELETE", "/api/recordings/y.opus", {}),
        ("POST", "/api/recordings/x.opus/clip", {"title": "Mass"}),
    ]
    fake.refusal = JSONResponse({"error": "there is no such recording"}, 404)
    for argv in (("delete", "x.opus"), ("clip", "x.opus"), ("fetch", "x.opus", "-")):
        status, out, err = run("live", "recordings", *argv)
        assert (status, out) == (1, "")
        assert err.endswith("there is no such recording\n")


def test_a_recording_is_fetched_into_a_new_file(fake: FakeServer, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mass.opus"
    assert run("live", "recordings", "fetch", "x.opus", str(file)) == (0, "", "")
    assert file.read_bytes() == SOUND
    status, out, err = run("live", "recordings", "fetch", "x.opus", str(file))
    assert (status, out, err) == (2, "", f"audio-server: {file}: is there already\n")
