"""Wrong client secrets are limited per application and address."""

from __future__ import annotations

import httpx

from oneself.api.app import create_app
from oneself.service.directory.throttle import ThrottleLimits
from support.caller import Cds


async def test_twenty_wrong_secrets_block_their_address_only(cds: Cds) -> None:
    app = create_app(cds.services, cds.services.settings)

    async def request_token(secret: str, address: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(address, 4711))
        form = {"grant_type": "client_credentials"}
        async with httpx.AsyncClient(transport=transport, base_url="https://cds.acme.example") as http:
            return await http.post("/t/acme/oauth2/token", data=form, auth=("crm", secret))

    count = ThrottleLimits().client.attempts_max + 1
    answers = [await request_token(f"guess {number}", "192.0.2.1") for number in range(count)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 600
    assert (await request_token("a secret of the tests", "192.0.2.2")).status_code == 200
    assert (await request_token("one wrong", "192.0.2.2")).status_code == 401
