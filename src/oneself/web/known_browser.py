"""A cookie by which a browser shows that somebody signed in to an account with it before.

    oneself_known   random part and keyed digest of it with the account; HttpOnly, SameSite=Lax, a year

Invariants: the cookie signs nobody in. Wrong passwords of such a browser are counted apart, so that strangers
who guess passwords lock nobody out who signs in from the usual browser.
"""

from __future__ import annotations

import hmac

from litestar.datastructures import Cookie

from oneself.service.crypto import SecretBox, new_token
from oneself.web.forms import AnyRequest
from oneself.web.sessions import browser_cookie

KNOWN_COOKIE = "oneself_known"
LIFE_S = 365 * 86_400
COOKIE_CHARACTERS_MAX = 200


class KnownBrowsers:
    """Issues and checks the cookie. `scope`: the organisation; `account`: the user id."""

    def __init__(self, secret_box: SecretBox) -> None:
        self._secret_box = secret_box

    def issue(self, request: AnyRequest, scope: str, account: str, path: str) -> Cookie:
        """The cookie for a browser in which somebody has signed in to an account."""
        random = new_token()
        value = f"{random}.{self._digest(scope, account, random)}"
        return browser_cookie(request, KNOWN_COOKIE, value, path, max_age_s=LIFE_S)

    def find(self, request: AnyRequest, scope: str, account: str) -> str | None:
        """What identifies the browser if somebody has signed in to this account with it; else None."""
        sent = request.cookies.get(KNOWN_COOKIE, "")
        if len(sent) > COOKIE_CHARACTERS_MAX:
            return None
        random, _, given = sent.partition(".")
        is_ours = hmac.compare_digest(self._digest(scope, account, random).encode(), given.encode())
        return random if is_ours else None

    def _digest(self, scope: str, account: str, random: str) -> str:
        return self._secret_box.keyed_digest("known browser", scope, account, random).hex()
