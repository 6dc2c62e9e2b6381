"""The HTTP API as the documentation shows it, made of the server's own OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

import trio

from audio_server.settings import Settings
from audio_server.web.api.about import all_operations
from audio_server.web.api.openapi import openapi
from audio_server.web.context import Context

Part: TypeAlias = dict[str, Any]

JSON = "application/json"

OF_ALL = {
    "a parameter that is unknown or wrong",
    "a parameter that is wrong, or a body that is not JSON",
    "the body is too large",
    "the body is not said to be application/json",
    "the JSON is invalid",
}
"""What the page says once for all."""


def operations_reference() -> str:
    """A section for each thing that can be asked for."""
    paths = _document()["paths"].items()
    return "\n".join(
        _section(f"{method.upper()} {path}", operation)
        for path, operations in paths
        for method, operation in operations.items()
    )


def models_reference() -> str:
    """A table for each kind of JSON object."""
    schemas = _document()["components"]["schemas"].items()
    return "\n".join(_model(name, schema) for name, schema in schemas if "properties" in schema)


@cache
def _document() -> Part:
    """What a server that asks for a token answers at `/api/openapi.json`; nobody serves here."""
    nobody: Any = None
    house = Context(Settings(), 1, nobody, nobody, trio.Event(), str)
    return openapi(all_operations(house, login=True), "")


def _section(title: str, operation: Part) -> str:
    lines = [f"### {title}", "", f"{operation['summary']}.", ""]
    lines += [f"- {line}" for line in _facts(operation)]
    return "\n".join([*lines, ""])


def _facts(operation: Part) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            need = "" if parameter.get("required") else ", may be left out"
            schema = parameter["schema"]
            meant = schema.get("description")
            yield f"`?{parameter['name']}=`{f': {meant}' if meant else ''} ({_kind(schema)}{need})"
    if "requestBody" in operation:
        yield f"body: {_content(operation['requestBody'])}"
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield f"answer: {status}{_answer(response)}"
        elif status != "default" and response["description"] not in OF_ALL:
            yield f"{status}: {response['description']}"


def _answer(response: Part) -> str:
    return f", {_content(response)}" if "content" in response else ", empty"


def _content(body: Part) -> str:
    kinds = (
        _kind(content["schema"])
        if media_type == JSON
        else f"`{media_type}`{_described(content['schema'])}"
        for media_type, content in body["content"].items()
    )
    return "; or ".join(kinds)


def _described(schema: Part) -> str:
    return f" ({schema['description']})" if "description" in schema else ""


def _model(name: str, schema: Part) -> str:
    rows = ["| field | type | |", "|---|---|---|"]
    needed = schema.get("required", ())
    for field, inner in schema["properties"].items():
        note = str(inner.get("description", "")) + ("" if field in needed else " (optional)")
        rows.append(f"| `{field}` | {_kind(inner)} | {' '.join(note.split())} |")
    meaning = " ".join(str(schema.get("description", "")).split())
    return "\n".join([f"### {name}", "", meaning, "", *rows, ""])


def _kind(schema: Part) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = _document()["components"]["schemas"][name]
        return f"[{name}](#{name.lower()})" if "properties" in found else _kind(found)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
