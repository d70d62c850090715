"""Which application answers a path: a raw endpoint by its pattern, else the framework."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.api.dispatch import Dispatch
from oneself.api.http.asgi import App


def named(name: str, calls: list[str]) -> App:
    async def application(*_: Any) -> None:
        calls.append(name)

    return application


@pytest.mark.parametrize(
    ("path", "application"),
    [
        ("/api2/event/shop", "events"),
        ("/api2/", "events"),
        ("/t/acme/api2/event/shop", "events"),
        ("/t/acme/pr", "beacon"),
        ("/pr", "beacon"),
        ("/pr/", "framework"),
        ("/pr/more", "framework"),
        ("/api2", "framework"),
        ("/api22/event/shop", "framework"),
        ("//api2/event/shop", "framework"),
        ("/t/acme", "framework"),
        ("/t/acme//api2/event/shop", "framework"),
        ("/t//api2/event/shop", "events"),
        ("/", "framework"),
        ("", "framework"),
    ],
)
async def test_a_path_goes_to_the_endpoint_of_its_pattern(path: str, application: str) -> None:
    calls: list[str] = []
    endpoints = {"/api2/": named("events", calls), "/pr": named("beacon", calls)}
    await Dispatch(endpoints, named("framework", calls))({"type": "http", "path": path}, None, None)  # type: ignore[arg-type]
    assert calls == [application]


async def test_the_lifespan_of_the_server_is_the_frameworks() -> None:
    calls: list[str] = []
    dispatch = Dispatch({"/api2/": named("events", calls)}, named("framework", calls))
    await dispatch({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert calls == ["framework"]
