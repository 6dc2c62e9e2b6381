"""`audio-server devices`, `devices show`, `top` and `logs`: a running server's devices, live."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import AsJson, AsJsonLines, DeviceId, Tag
from audio_server.cli.remote import Remote, ask, print_line
from audio_server.process.colours import can_draw
from audio_server.process.output import make_console, say, say_json, say_table

if TYPE_CHECKING:
    from audio_server.client.api import Api
    from audio_server.client.connection import Document
    from audio_server.client.server import Server

SortKey = Literal[
    "id", "state", "mode", "name", "leds", "press", "since", "errors", "lead", "trip", "battery",
    "address", "node", "worker", "tags",
]  # fmt: skip
OneDevice = Annotated[DeviceId, Parameter(help="The device.  [default: all]")]
Follow = Annotated[
    bool, Parameter(name=("--follow", "-f"), help="Go on with later events, until Ctrl-C.")
]
Offline = Annotated[
    bool, Parameter(name="--offline", help="Those that are away, as they were last seen.")
]
Everything = Annotated[bool, Parameter(name="--all", help="Those that are away too.")]
OfTag = Annotated[Tag | None, Parameter(name="--tag", help="Those with this tag.")]
Errors = Annotated[bool, Parameter(name="--errors", help="Those with errors.")]
LedsDiffer = Annotated[
    bool, Parameter(name="--leds-differ", help="Those whose LEDs are others than those sent.")
]
Reverse = Annotated[bool, Parameter(name="--reverse")]


def show_all(
    remote: Remote | None = None,
    *,
    offline: Offline = False,
    everything: Everything = False,
    tag: OfTag = None,
    errors: Errors = False,
    leds_differ: LedsDiffer = False,
    firmware: str | None = None,
    search: str | None = None,
    sort: SortKey = "id",
    reverse: Reverse = False,
    as_json: AsJson = False,
) -> None:
    """List the devices that are connected to a running server, or those that are away.

    Parameters
    ----------
    firmware: str
        Those with this firmware, as they name it.
    search: str
        Words of id, name, tags, address, mode, clip or firmware.
    sort: str
        The column to sort by.
    reverse: bool
        Sort the other way round.
    """
    from audio_server.client.outcome import absence

    if offline and everything:
        raise CommandError("give either --offline or --all")
    query = {"tag": tag, "q": search, "firmware": firmware}
    query["errors"] = "true" if errors else None
    query["leds"] = "differ" if leds_differ else None
    query["state"] = "offline" if offline else "all" if everything else None
    document = ask(remote, lambda api: api.devices(**query))
    if as_json:
        say_json(document)
    else:
        nothing = "there is no such device" if any(query.values()) else "no device is connected"
        _print_table(document, sort, reverse, nothing)
    if error := absence(document):
        raise error


def _print_table(document: Document, key: str, backwards: bool, nothing: str) -> None:
    """Return all columns for a pipe; for a terminal those that fit, in colour."""
    from audio_server.client.columns import sort
    from audio_server.client.table import lines, table

    rows, now = sort(document["rows"], key, backwards=backwards), document["now"]
    if not sys.stdout.isatty():
        say_table(lines(rows, now))
        return
    console = make_console()
    console.print(table(rows, now, console.width) if rows else nothing)


def show(device_id: DeviceId, /, remote: Remote | None = None, *, as_json: AsJson = False) -> None:
    """Show all that a running server knows of a device."""
    from audio_server.client.facts import facts

    row = ask(remote, lambda api: api.device(device_id))
    if as_json:
        say_json(row)
    else:
        say_table(facts(row))


def forget(
    device_id: DeviceId,
    /,
    *more: DeviceId,
    remote: Remote | None = None,
    as_json: AsJson = False,
) -> None:
    """Forget devices that are away: their history, names, tags and modes."""

    async def forget_each(api: Api) -> list[Document]:
        return [await api.forget(one) for one in dict.fromkeys((device_id, *more))]

    for answer in ask(remote, forget_each):
        if as_json:
            print_line(answer)
        else:
            say(f"{answer['id']} is forgotten")


def top(
    remote: Remote | None = None,
    *,
    sort: SortKey = "id",
    reverse: Reverse = False,
    as_json: AsJsonLines = False,
) -> None:
    """Watch the devices of a running server, until q or Ctrl-C.

    Parameters
    ----------
    sort: str
        The column to sort by; the key s takes the next one.
    reverse: bool
        Sort the other way round; so does the key r.
    """
    import trio

    server = (remote or Remote()).server()
    if as_json:
        from audio_server.client.history import changes

        trio.run(changes, server, print_line)
    elif not can_draw(sys.stdout):
        raise CommandError("no terminal to draw on: use --json, or audio-server devices")
    else:
        _watch(server, sort, reverse)


def _watch(server: Server, key: str, backwards: bool) -> None:
    import trio

    from audio_server.client.overview import Order
    from audio_server.client.top import top as watch
    from audio_server.process.terminal import keyboard, single_keys

    with keyboard() as keys, single_keys(keys):
        trio.run(watch, server, keys, make_console(), Order(key, backwards=backwards))


def logs(
    device_id: OneDevice | None = None,
    /,
    remote: Remote | None = None,
    *,
    follow: Follow = False,
    as_json: AsJsonLines = False,
) -> None:
    """Print events of devices of a running server: presses, takes, LEDs, connections."""
    import trio

    from audio_server.client import history

    def tell(event: dict[str, object]) -> None:
        say(history.line(event))

    server = (remote or Remote()).server()
    told = history.follow if follow else history.past
    trio.run(told, server, device_id, print_line if as_json else tell)
