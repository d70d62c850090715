"""A real SMTP server, which can be broken in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.smtp import Behaviour, MailServer


@pytest.fixture
def mail_server() -> Iterator[Callable[..., MailServer]]:
    """Starts servers that behave in a given way."""
    started: list[MailServer] = []

    def start(behaviour: Behaviour = "accepts", **options: bool) -> MailServer:
        started.append(MailServer(behaviour, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()
