"""What the API says of itself is true, and says all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api_kit import Api, an_api
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from audio_server.web.api.resource import Resource
from audio_server.web.security_headers import SecurityHeaders


def routes_of(app: Any) -> Iterator[tuple[str, str]]:
    """Each path and method that the application serves under `/api`."""
    assert isinstance(app, SecurityHeaders)
    for route in app._app._app._app.routes:
        if isinstance(route, Route) and isinstance(route.app, Resource):
            for method in route.app._operations:
                yield route.path, method


async def test_the_document_is_valid_and_served() -> None:
    async with an_api() as api:
        document = await api.get("/api/openapi.json")
        assert document["paths"] == api.document["paths"]
        assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
        operations = [one for path in document["paths"].values() for one in path.values()]
        ids = [operation["operationId"] for operation in operations]
        assert len(set(ids)) == len(ids)
        assert all(operation["summary"] for operation in operations)


async def test_every_route_is_described_and_real() -> None:
    async with an_api() as api:
        served = {pair for pair in routes_of(api.app) if pair[1] != "HEAD"}
        described = {
            (path, method.upper())
            for path, operations in api.document["paths"].items()
            for method in operations
        }
        assert served == described
        app: Any = api.app
        others = {
            route.path for route in app._app._app._app.routes if route.path.startswith("/api")
        }
        assert others - {path for path, _ in described} == {"/api{rest:path}"}
        await check_real(api)


async def check_real(api: Api) -> None:
    """Nothing that is described is answered as if it were not there."""
    for path, operations in api.document["paths"].items():
        for method in operations:
            if path not in ("/api/devices/changes", "/api/clips/reload"):
                answer = await api.ask(method.upper(), path)
                assert "no such thing" not in answer.text, path
                assert answer.status not in (405, 500)
