"""The OpenAPI document, made of the descriptions of the operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from audio_server.web.api import models
from audio_server.web.api.operation import Content, Operation

Document: TypeAlias = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{name}"
DESCRIPTION: Final = (
    "All functions of the pages. On loopback no token is needed unless one is set; "
    "beyond it, machines send `Authorization: Bearer TOKEN` and browsers log in at `/login`. "
    "A request of a browser must come from a page of this server. Errors are JSON: `error` is one "
    "line with the reason."
)
REFUSED: Final = (
    "Refused before it was looked at: 401 without a valid token, 403 for pages of others, 421 for "
    "another name of this server, 429 after too many wrong tokens. Or 500: the server failed."
)


def openapi(operations: Sequence[Operation], version: str) -> Document:
    """The document."""
    refs, components = schemas(operations)
    paths: dict[str, Document] = {}
    for operation in operations:
        described = _operation(operation, refs)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.1",
        "info": {"title": "Streaming Audio Server", "version": version, "description": DESCRIPTION},
        "security": [{}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def schemas(operations: Iterable[Operation]) -> tuple[dict[type, Document], Document]:
    """Return a reference for each class of a request or an answer, with the classes they refer
    to."""
    kinds = list(dict.fromkeys(_kinds(operations)))
    refs, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    return dict(zip(kinds, refs, strict=True)), dict(components)


def _kinds(operations: Iterable[Operation]) -> Iterator[type]:
    yield models.Error
    for operation in operations:
        for one in (operation.body, *operation.answers):
            if isinstance(one, type):
                yield one


def _operation(operation: Operation, refs: dict[type, Document]) -> Document:
    described: Document = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": _responses(operation, refs),
    }
    if parameters := [*_path_parameters(operation), *_query_parameters(operation)]:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body, refs)}
    return described


def _responses(operation: Operation, refs: dict[type, Document]) -> Document:
    error = {"application/json": {"schema": refs[models.Error]}}
    wrong = {
        str(status): {"description": what, "content": error}
        for status, what in sorted(operation.all_problems.items())
    }
    refused = {"default": {"description": REFUSED, "content": error}}
    return {**_good(operation, refs), **wrong, **refused}


def _good(operation: Operation, refs: dict[type, Document]) -> Document:
    content: Document = {}
    for one in operation.answers:
        content |= _content(one, refs)
    good = {"200": {"description": "done", "content": content}}
    if operation.in_parts:
        good["206"] = {"description": "the part that Range asks for", "content": content}
    return good


def _content(one: type | Content, refs: dict[type, Document]) -> Document:
    if isinstance(one, Content):
        schema = {"description": one.what} | ({"type": one.json_type} if one.json_type else {})
        return {one.media_type: {"schema": schema}}
    return {"application/json": {"schema": refs[one]}}


def _path_parameters(operation: Operation) -> Iterator[Document]:
    for name in re.findall(r"{(\w+)}", operation.path):
        schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(operation: Operation) -> Iterator[Document]:
    (ref,), components = msgspec.json.schema_components([operation.query], ref_template=REFERENCE)
    schema = components[ref["$ref"].rsplit("/", 1)[1]]
    for name, described in schema["properties"].items():
        required = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": required, "schema": _plain(described)}


def _plain(schema: Document) -> Document:
    """A parameter that is left out is left out: it is never null."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(others) != 1:
        return schema
    rest = {key: schema[key] for key in schema if key not in ("anyOf", "default")}
    return {**others[0], **rest}
