"""What people, their browsers and the shop read after sign-ins at the real pages, in a real Chromium.

The shop creates a profile for each visitor, sends the browser to sign in with its tracker, and exchanges the
code that comes back (docs/guides/anonymous-to-registered.md).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from support.service import RunningService
from support.visitor import PASSWORD, challenge_of
from wire.client import PERMISSIONS, Cds

pytestmark = pytest.mark.e2e

SECRET = "a secret of the tests, long enough to be taken"
IDENTITY = ("internal_cds_identity_view", "internal_cds_identity_update")
SCOPE = "openid internal_cds_profile_view internal_cds_profile_update"


class Visit(NamedTuple):
    """A profile that the shop created for a visitor, and the tracker of the browser."""

    profile_id: str
    tracker: str


class Shop:
    """The back end of the shop, which exchanges codes. `cds` has the token of its application."""

    def __init__(self, cds: Cds, client_id: str, callback: str) -> None:
        self.cds, self.client_id, self.callback = cds, client_id, callback
        self._verifier = secrets.token_urlsafe(48)

    def visit(self, **traits: Any) -> Visit:
        """Create the profile of a new visitor."""
        created = self.cds.create({"traits": traits})
        return Visit(created["profile_id"], created["anonymous_profile_tracker"])

    def link(self, tracker: str, **changes: str) -> str:
        """The address to which the shop sends a browser to sign in."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": SCOPE,
            "state": "s",
            "code_challenge": challenge_of(self._verifier),
            "code_challenge_method": "S256",
            "anonymous_profile_tracker": tracker,
            **changes,
        }
        return f"{self.cds.base_url}/t/{self.cds.org}/oauth2/authorize?{urlencode(query)}"

    def exchange(self, page: Any) -> httpx.Response:
        """Exchange the code with which a page came back."""
        page.wait_for_url(f"{self.callback}?*")
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(page.url).query)["code"][0],
            "redirect_uri": self.callback,
            "code_verifier": self._verifier,
            "client_id": self.client_id,
        }
        return self.cds.http.post(f"/t/{self.cds.org}/oauth2/token", data=form)

    def by_id(self, visit: Visit) -> dict[str, Any]:
        return self.cds.read(visit.profile_id)

    def by_tracker(self, visit: Visit) -> dict[str, Any]:
        answer = self.cds.post("/profiles", {}, tracker=visit.tracker)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def me(self, token: str) -> dict[str, Any]:
        return dict(self.cds.get("/profiles/Me", token=token).json())


@pytest.fixture(scope="module")
def shop(service: RunningService, callback: str) -> Iterator[Shop]:
    """A shop in an organisation of its own, in whose answers nothing is filtered by consent."""
    handle = f"shop-{secrets.token_hex(4)}"
    _run(service, "org", "create", handle, "--client-id", f"{handle}-crm", "--client-secret", SECRET)
    options = [part for name in SCOPE.split()[1:] for part in ("--permission", name)]
    created = _run(
        *(service, "app", "create", "Shop", "--json", "--org", handle, "--kind", "browser"),
        *("--redirect-uri", callback, *options),
    )
    cds = Cds(service.base_url, handle, f"{handle}-crm", SECRET, {*PERMISSIONS, *IDENTITY})
    shop = Shop(cds, json.loads(created)["client_id"], callback)
    cds.trait(key="interests", multi_valued=True, merge_strategy="combine")
    systems = {"system_applications": [cds.client_id, shop.client_id]}
    assert cds.patch("/config", systems).status_code == 200
    bindings = [{"name": "emailAddress", "identity_type": "emailAddress"}]
    assert cds.admin("PUT", "/datasets/default/identity-attributes", bindings).status_code == 200
    yield shop
    cds.close()


def _run(service: RunningService, *arguments: str) -> str:
    result = service.command(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def other_page(chromium: Any) -> Iterator[Any]:
    """A page of another browser."""
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def _new_address(name: str) -> str:
    return f"{name}-{secrets.token_hex(4)}@acme.example"


def _register(shop: Shop, page: Any, email: str, visit: Visit) -> str:
    """Register at the pages. Returns the access token of the person."""
    page.goto(shop.link(visit.tracker, prompt="create"))
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("First name").fill("Ann")
    page.get_by_label("Last name").fill("Archer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    return str(shop.exchange(page).raise_for_status().json()["access_token"])


def _fill_in(page: Any, email: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def _sign_in(shop: Shop, page: Any, email: str, visit: Visit) -> str:
    page.goto(shop.link(visit.tracker, prompt="login"))
    _fill_in(page, email)
    return str(shop.exchange(page).raise_for_status().json()["access_token"])


def _interests(document: dict[str, Any]) -> list[str]:
    return list(document.get("traits", {}).get("interests", []))


def test_people_who_share_a_browser_read_what_is_theirs(shop: Shop, page: Any, other_page: Any) -> None:
    ann_at, ben_at = _new_address("ann"), _new_address("ben")
    first = shop.visit(interests=["chess"])
    ann = _register(shop, page, ann_at, first)
    me = shop.me(ann)
    assert (me["profile_id"], _interests(me)) == (first.profile_id, ["chess"])
    assert shop.by_id(first)["user_id"] == me["user_id"]
    assert shop.by_tracker(first)["user_id"] == me["user_id"]

    second = shop.visit(interests=["go"])
    elsewhere = _sign_in(shop, other_page, ann_at, second)
    assert _interests(shop.me(ann)) == ["chess", "go"]
    assert _interests(shop.by_tracker(second)) == ["go"]
    assert shop.by_id(second)["merged_to"]["profile_id"] == first.profile_id

    before = shop.me(ann)
    ben = _register(shop, page, ben_at, first)
    assert "profile_id" not in shop.me(ann), "his sign-in ended her session in this browser"
    assert shop.me(elsewhere) == before
    assert shop.me(ben)["profile_id"] not in (first.profile_id, second.profile_id)
    assert _interests(shop.me(ben)) == []
    assert shop.by_tracker(first)["user_id"] == shop.me(ben)["user_id"]
    assert _interests(shop.by_tracker(first)) == []

    ann = _sign_in(shop, page, ann_at, first)
    returned = shop.by_tracker(first)
    assert (returned["user_id"], _interests(returned)) == (me["user_id"], ["chess"])
    assert _interests(shop.me(ann)) == ["chess", "go"]


def test_a_planted_link_shows_nothing_of_who_follows_it(shop: Shop, page: Any, other_page: Any) -> None:
    """Mal makes a link with his tracker and his own PKCE challenge; Vera follows it and signs in."""
    vera_at = _new_address("vera")
    hers, his = shop.visit(interests=["hers"]), shop.visit(interests=["his"])
    vera = _register(shop, page, vera_at, hers)
    before, planted = shop.me(vera), shop.by_tracker(his)

    other_page.goto(shop.link(his.tracker, prompt="login", code_challenge=challenge_of("m" * 43)))
    _fill_in(other_page, vera_at)
    assert shop.exchange(other_page).status_code == 400
    assert shop.by_tracker(his) == planted
    assert "user_id" not in shop.by_id(his)
    assert shop.me(vera) == before

    # The honest twin: the shop itself sends this browser to sign in.
    _sign_in(shop, other_page, vera_at, his)
    assert shop.by_tracker(his)["user_id"] == before["user_id"]
    assert _interests(shop.me(vera)) == ["hers", "his"]


def test_his_browser_that_named_her_address_shows_nothing_of_her(shop: Shop, page: Any) -> None:
    """A page names the address of Vera's record; then its user registers at the pages."""
    vera_at = _new_address("vera")
    record, his = shop.visit(interests=["hers"]), shop.visit()
    shop.cds.write(record.profile_id, {"identity_attributes": {"emailaddress": vera_at}})
    before = shop.by_id(record)
    user = {"anonymousProfileTracker": his.tracker, "identities": {"emailAddress": vera_at}}
    event = {"interaction": {"name": "Visit"}, "user": user}
    assert shop.cds.http.post(f"/t/{shop.cds.org}/api2/event/default", json=event).status_code == 200

    mal = _register(shop, page, _new_address("mal"), his)
    assert (shop.me(mal)["profile_id"], _interests(shop.me(mal))) == (his.profile_id, [])
    assert _interests(shop.by_id(his)) == []
    assert shop.cds.get(f"/profiles/{record.profile_id}", token=mal).status_code == 404
    assert shop.by_id(record) == before

    # The honest twin: the shop, not a page, says the address.
    twin = shop.visit(interests=["form"])
    shop.cds.write(twin.profile_id, {"identity_attributes": {"emailaddress": vera_at}})
    assert sorted(_interests(shop.by_id(record))) == ["form", "hers"]
