"""Dispatch by path: to the raw endpoint whose pattern matches, else to the framework."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.api.dispatch import Dispatch
from oneself.api.http.asgi import App


def recording_app(name: str, calls: list[str]) -> App:
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
    endpoints = {"/api2/": recording_app("events", calls), "/pr": recording_app("beacon", calls)}
    await Dispatch(endpoints, recording_app("framework", calls))({"type": "http", "path": path}, None, None)  # type: ignore[arg-type]
    assert calls == [application]


async def test_lifespan_events_go_to_the_framework() -> None:
    calls: list[str] = []
    dispatch = Dispatch({"/api2/": recording_app("events", calls)}, recording_app("framework", calls))
    await dispatch({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert calls == ["framework"]
