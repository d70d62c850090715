"""Guesses of a client secret: counted by application and address, and stopped."""

from __future__ import annotations

import httpx

from oneself.api.app import create_app
from oneself.service.directory.login_throttle import LoginLimits
from support.caller import Cds


async def test_twenty_wrong_secrets_stop_only_the_guessing_address(cds: Cds) -> None:
    app = create_app(cds.services, cds.services.settings)

    async def ask(secret: str, address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address, 4711))
        form = {"grant_type": "client_credentials"}
        async with httpx.AsyncClient(transport=transport, base_url="https://cds.acme.example") as http:
            return await http.post("/t/acme/oauth2/token", data=form, auth=("crm", secret))

    count = LoginLimits().client.failures_max + 1
    guesses = [await ask(f"guess {number}", "192.0.2.1") for number in range(count)]
    assert [guess.status_code for guess in guesses] == [401] * 20 + [429]
    assert 0 < int(guesses[-1].headers["retry-after"]) <= 600
    assert (await ask("a secret of the tests", "192.0.2.2")).status_code == 200
    assert (await ask("one wrong", "192.0.2.2")).status_code == 401
