"""Sends each request to a raw endpoint or to the framework, by its path.

    /api2/…, beacons, also under /t/{org}   ─▶ the raw endpoint of the wire
    everything else, and the server's lifespan ─▶ the framework

A pattern that ends with a slash means everything below it; another one means that path alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from oneself.api.http.asgi import App, Receive, Scope, Send
from oneself.api.http.paths import split_organisation
from oneself.api.http.raw import RawEndpoint


class Dispatch:
    """An ASGI application. `endpoints`: pattern → raw endpoint; a pattern has one step of a path."""

    def __init__(self, endpoints: Mapping[str, RawEndpoint], framework: App) -> None:
        self._endpoints = dict(endpoints)
        self._framework = framework

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.find_endpoint(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or self._framework)(scope, receive, send)

    def find_endpoint(self, path: str) -> RawEndpoint | None:
        """The raw endpoint of a path; None for a path of the framework."""
        _, path = split_organisation(path)
        # Up to the second slash; a path without one has itself as its pattern.
        pattern = path[: path.find("/", 1) + 1] or path
        return self._endpoints.get(pattern)
