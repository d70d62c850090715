"""A form that a browser says another site has sent is not accepted, whatever it contains.

Source: docs/concepts/trust.md, "Browsers".
"""

from __future__ import annotations

from typing import Any

import pytest

from support.visitor import PASSWORD, Page, Visitor

EMAIL = "vera@acme.example"
PERSON = {"email": EMAIL, "given_name": "Vera", "last_name": "Archer", "password": PASSWORD}
HERE: list[dict[str, str]] = [
    {},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://localhost:8700"},
    {"Origin": "https://LOCALHOST:8700", "Sec-Fetch-Site": "none"},
]
ELSEWHERE: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:8701"},
    {"Origin": "http://evil.localhost:8700"},
    {"Origin": "localhost:8700"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:8700", "Sec-Fetch-Site": "same-site"},
]


async def sent(visitor: Visitor, path: str, headers: dict[str, str], **fields: Any) -> int:
    shown = Page((await visitor.open(path)).text)
    form = {"csrf": shown.csrf, **fields}
    return (await visitor.http.post(shown.actions[0], data=form, headers=headers)).status_code


@pytest.mark.parametrize("headers", HERE)
async def test_a_form_from_here_is_accepted(visitor: Visitor, headers: dict[str, str]) -> None:
    assert await sent(visitor, "accounts/register", headers, **PERSON) == 303


@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize("path", ["accounts/register", "accounts/login", "accounts/recover"])
async def test_a_form_from_elsewhere_is_not(visitor: Visitor, path: str, headers: dict[str, str]) -> None:
    await visitor.register(EMAIL)
    visitor.http.cookies.delete("oneself_session")
    assert await sent(visitor, path, headers, **PERSON) == 403
