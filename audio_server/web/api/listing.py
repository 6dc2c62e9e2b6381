"""Query parameters of lists as the fleet takes them."""

from __future__ import annotations

from msgspec import UNSET

from audio_server.fleet.listing import Wanted, key_at
from audio_server.web.api.models import Found, Listing, Watching
from audio_server.web.api.operation import Problem


def wanted_by(query: Listing) -> Wanted:
    """Return the devices that a query asks for. Raises `Problem` for a cursor of another list."""
    try:
        after = key_at(query.cursor, query.sort)
    except ValueError as error:
        raise Problem(400, f"cursor: {error}") from None
    limit = None if query.limit is UNSET else query.limit
    return _found(query)._replace(after=after, limit=limit)


def matching(match: Found) -> Wanted:
    """Return the devices that an action is for."""
    return _found(match)._replace(sort="id", backwards=False)


def window_of(query: Watching) -> Wanted:
    """Return the devices that a query follows."""
    return _found(query)._replace(limit=query.limit)


def _found(query: Found) -> Wanted:
    return Wanted(
        query.state,
        query.tag,
        query.q or "",
        query.errors,
        query.leds is not UNSET,
        None if query.firmware is UNSET else query.firmware,
        sort=query.sort,
        backwards=query.backwards,
    )
