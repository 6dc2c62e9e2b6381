"""One operation of the API, with its complete description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from starlette.requests import Request

from audio_server.web.api.models import Nothing

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


JSON_SMALL_BYTES: Final = 8 * 1024
"""Bytes for the name of a device or clip and an action."""

JSON_IDS_BYTES: Final = 8 * 1024 * 1024
"""Room for the ids of more devices than a server takes."""

JSON_CLIPS_BYTES: Final = 1024 * 1024
"""Bytes for the names of more clips than there will be modes."""


class Problem(Exception):
    """A request that is refused; `str()` is the reason in one line, `headers` go with it."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(" ".join(reason.split()))
        self.status = status
        self.headers = dict(headers or {})


class ApiRequest(NamedTuple):
    """A request that is as its operation wants it: `query` and `body` are of the types that the
    operation names."""

    request: Request
    query: Any
    body: Any

    def named(self, name: str) -> str:
        """Return the part of the path in the place of `{name}`."""
        return str(self.request.path_params[name])


Handler: TypeAlias = Callable[..., Awaitable[Any]]
"""Takes an `ApiRequest`, and returns an object for JSON or a `Response`. Raises `Problem`."""

H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is no JSON."""

    media_type: str
    what: str
    json_type: str | None = "string"
    """The media type's name in JSON Schema; None for binary content."""


EVENTS: Final = "text/event-stream"

_MARK: Final = "operation"


@dataclass(frozen=True, slots=True)
class Operation:
    """A decorator of the method that answers a request for `path` by `method`; the first line of
    its docstring describes it. `answer` is the content of its answer, of one or several media
    types, a class of `models` standing for JSON. `body` and `query` are its parameters, `problems`
    its refusals by status, apart from those that are common to all requests."""

    method: Method
    path: str
    answer: type | Content | tuple[type | Content, ...]
    query: type = Nothing
    body: type | Content | None = None
    problems: Mapping[int, str] = field(default_factory=dict)
    in_parts: bool = False
    """Whether a part of the answer can be asked for (`Range`)."""

    json_max_bytes: int = JSON_SMALL_BYTES
    """How large a JSON body may be."""

    does: Handler = field(default=lambda _: NotImplemented, repr=False)

    def __call__(self, method: H) -> H:
        """Mark a method, for `operations_of` its object."""
        vars(method)[_MARK] = self
        return method

    @property
    def id(self) -> str:
        """The operation's name in programs that are generated from the document."""
        return self.does.__name__

    @property
    def summary(self) -> str:
        """The description, in one line."""
        return (self.does.__doc__ or "").strip().partition("\n")[0].rstrip(".")

    @property
    def answers(self) -> tuple[type | Content, ...]:
        """All that it may answer with."""
        return self.answer if isinstance(self.answer, tuple) else (self.answer,)

    @property
    def streams(self) -> bool:
        """Whether it may answer for ever."""
        return any(isinstance(one, Content) and one.media_type == EVENTS for one in self.answers)

    @property
    def all_problems(self) -> dict[int, str]:
        """All that can be wrong with a request that comes from an operator."""
        problems = {400: "a parameter that is unknown or wrong"}
        if isinstance(self.body, type):
            problems |= {
                400: "a parameter that is wrong, or a body that is not JSON",
                408: "the body does not come",
                413: "the body is too large",
                415: "the body is not said to be application/json",
                422: "the JSON is invalid",
                503: "too many large bodies are on their way",
            }
        if self.in_parts:
            problems[416] = "there is no such part"
        return problems | dict(self.problems)


def operations_of(owner: object) -> list[Operation]:
    """Return the operations that methods of an object are marked with, in their order."""
    marks = ((name, getattr(value, _MARK, None)) for name, value in vars(type(owner)).items())
    return [replace(mark, does=getattr(owner, name)) for name, mark in marks if mark is not None]
