"""What log lines look like, and where they go."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
import structlog

from audio_server.process.logs import LogStream, configure_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines(capsys):
    """The lines logged since the last call, as JSON."""

    def read() -> list[dict[str, object]]:
        out, err = capsys.readouterr()
        assert out == ""
        return [json.loads(line) for line in err.splitlines()]

    return read


def test_json_off_a_terminal(lines) -> None:
    configure_logs()
    structlog.get_logger().info("press", device_id="kitchen", button=4)
    (line,) = lines()
    stamp = line.pop("timestamp")
    assert line == {"event": "press", "level": "info", "device_id": "kitchen", "button": 4}
    assert isinstance(stamp, str)
    assert stamp.endswith("Z")


def test_what_is_no_json_is_shown_all_the_same(lines) -> None:
    configure_logs()
    structlog.get_logger().info("press", button={1}, text="two\nlines")
    (line,) = lines()
    assert line["button"] == "{1}"


@pytest.mark.parametrize(("stream", "human"), [(Terminal(), True), (io.StringIO(), False)])
def test_human_on_a_terminal(stream, human, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs()
    structlog.get_logger().info("press", device_id="kitchen")
    said = stream.getvalue()
    assert "kitchen" in said
    assert said.startswith("{") is not human
    assert ("\x1b[" in said) is human


def test_the_format_can_be_chosen(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    configure_logs("json")
    structlog.get_logger().info("press")
    assert json.loads(sys.stderr.getvalue())["event"] == "press"

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    configure_logs("human")
    structlog.get_logger().info("press", device_id="kitchen")
    assert "press" in sys.stderr.getvalue()
    assert "device_id=kitchen" in sys.stderr.getvalue()
    assert "\x1b[" not in sys.stderr.getvalue()


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level(level, heard, lines) -> None:
    configure_logs("json", level)
    log = structlog.get_logger()
    for kind in ("debug", "info", "warning", "error"):
        getattr(log, kind)("event")
    assert [line["level"] for line in lines()] == heard


def test_libraries_are_heard_from_warnings_on(lines) -> None:
    configure_logs("json", "debug")
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("%d frames lost", 3)
    (line,) = lines()
    assert (line["event"], line["level"]) == ("3 frames lost", "warning")


def fail() -> None:
    raise ValueError("no such clip")


def test_an_exception_is_one_short_line(lines) -> None:
    configure_logs("json")
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("request failed", device_id="kitchen")
    (line,) = lines()
    assert line["device_id"] == "kitchen"
    assert line["exception"] == "ValueError: no such clip"


def test_each_cause_of_a_group_is_told(lines) -> None:
    configure_logs("json")
    inner = ExceptionGroup("inner", [KeyError("x"), OSError()])
    structlog.get_logger().error("failed", exc_info=ExceptionGroup("outer", [inner, EOFError()]))
    (line,) = lines()
    assert line["exception"] == "KeyError: 'x'; OSError; EOFError"


def test_an_exception_may_be_told_in_three_parts(lines) -> None:
    configure_logs("json")
    error = ValueError("no such clip")
    structlog.get_logger().error("failed", exc_info=(ValueError, error, None))
    assert lines()[0]["exception"] == "ValueError: no such clip"


def test_where_it_left_our_hands_is_told(lines) -> None:
    configure_logs("json")
    try:
        configure_logs("json", "loud")  # type: ignore[arg-type]
    except KeyError as error:
        structlog.get_logger().error("failed", exc_info=error)
    (line,) = lines()
    assert str(line["exception"]).startswith("KeyError: 'LOUD' (process/logs.py:")


def test_the_debug_level_tells_the_whole_story(lines) -> None:
    configure_logs("json", "debug")
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("request failed")
    (line,) = lines()
    assert "Traceback" in str(line["exception"])
    assert "in fail" in str(line["exception"])


def test_no_exception_no_word(lines) -> None:
    configure_logs("json")
    structlog.get_logger().info("calm", exc_info=True)
    assert "exception" not in lines()[0]


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("closed", [True, False])
def test_a_reader_of_logs_that_goes_away_is_no_concern(closed, monkeypatch) -> None:
    stream = Gone()
    if closed:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("json")
    structlog.get_logger().info("press")
    logging.getLogger("some.library").warning("press")
    LogStream().flush()


def test_a_terminal_is_shown_no_controls(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    configure_logs("human")
    evil = "a\x1b[2J\x9b\u202e\u2028\nb"
    try:
        raise ValueError(evil)
    except ValueError:
        structlog.get_logger().exception(evil, device_id=evil, path=[evil], **{evil: evil})
    logging.getLogger("some.library").warning("%s", evil)
    said = sys.stderr.getvalue()
    assert said.count(r"a\x1b[2J\x9b\u202e\u2028\nb") >= 4
    assert [char for char in said if not char.isprintable()] == ["\n"] * said.count("\n")
    assert said.count("\n") == 3  # one for the exception


def test_json_holds_no_controls(lines, capsys) -> None:
    configure_logs("json")
    structlog.get_logger().info("\x1b\x9b\x7f\u202e\udcff", device_id="\u2028")
    text = capsys.readouterr().err
    assert text.isascii()
    assert text.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({}, True),
    ],
)
def test_colours_are_for_terminals_that_want_them(variables, coloured, monkeypatch) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Terminal())
    configure_logs()
    structlog.get_logger().info("press", device_id="kitchen")
    assert ("\x1b[" in sys.stderr.getvalue()) is coloured


def test_a_long_value_is_cut(lines) -> None:
    configure_logs("json")
    error = ValueError("x" * 100_000)
    structlog.get_logger().info("request refused", reason="x" * 100_000, exc_info=error)
    (line,) = lines()
    assert line["reason"] == "x" * 1000 + "... (100,000 characters)"
    assert len(str(line["exception"])) < 1100
