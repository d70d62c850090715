"""Tokens of a real OpenID provider: registration, sign-in, linking and reading."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from oneself.tunables import Tunables
from support.caller import Cds
from support.tunables import SettableClock, tuned

ROOT = Path(__file__).parents[3]
#: The status for a valid token whose user has no profile.
NO_PROFILE = 404
REDIRECT_URI = "http://127.0.0.1:1/callback"
SCOPE = "openid internal_cds_profile_view internal_cds_profile_link"


class Provider:
    """The running provider, and a browser that registers and signs in there."""

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            ["node", "server.mjs"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.issuer: str = json.loads(self._process.stdout.readline())["issuer"]

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def sign_in(self, email: str, *, register: bool = False, resource: str = "urn:iam-cds") -> str:
        """The access token after the authorize request and the interaction pages."""
        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        with httpx.Client(base_url=self.issuer, timeout=30.0) as browser:
            answer = browser.get(
                "/auth",
                params={
                    "client_id": "shop",
                    "response_type": "code",
                    "redirect_uri": REDIRECT_URI,
                    "scope": SCOPE,
                    "resource": resource,
                    "code_challenge": challenge,
                    "code_challenge_method": "S256",
                },
            )
            code = self._through_pages(browser, answer, email, register)
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT_URI,
                "client_id": "shop",
                "code_verifier": verifier,
                "resource": resource,
            }
            granted = browser.post("/token", data=form)
        assert granted.status_code == 200, granted.text
        return str(granted.json()["access_token"])

    def _through_pages(
        self, browser: httpx.Client, answer: httpx.Response, email: str, register: bool
    ) -> str:
        visited: list[str] = []
        for _ in range(10):
            if answer.status_code == 200 and "<form" in answer.text:
                form = {
                    "email": email,
                    "password": "a long password",
                    **({"register": "1"} if register else {}),
                }
                answer = browser.post(answer.url, data=form)
                continue
            assert answer.is_redirect, answer.text
            location = answer.headers["location"]
            if location.startswith(REDIRECT_URI):
                return str(parse_qs(urlsplit(location).query)["code"][0])
            visited.append(location)
            answer = browser.get(answer.url.join(location))
        raise AssertionError(f"no redirect to the application after 10 pages: {visited}")

    def post(self, path: str) -> None:
        assert httpx.post(self.issuer + path, timeout=30.0).status_code == 200


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js with npm")
    command = [str(ROOT / "tools" / "ensure-test-provider")]
    folder = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    provider = Provider(folder)
    yield provider
    provider.stop()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def tunables(clock: SettableClock) -> Tunables:
    """Trusted issuers and keys are read again at every request."""
    return tuned(trusts_life_s=0.0, issuer_keys_retry_s=0.0, now=clock)


async def trust(cds: Cds, provider: Provider, **fields: Any) -> UUID:
    """Trust a provider; returns the id of the trusted issuer."""
    added = await cds.services.directory.issuers.add(cds.dataset_ref, issuer=provider.issuer, **fields)
    return added.issuer_id


def email() -> str:
    return f"ann-{uuid.uuid4().hex}@acme.example"


def subject_of(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


async def read(cds: Cds, token: str) -> int:
    return (await cds("GET", "/profiles/Me", token=token)).status_code


async def own_traits(cds: Cds, profile: dict[str, Any]) -> dict[str, Any]:
    """What the user of a profile owns, as a system application sees it."""
    path = f"/profiles/{profile['profile_id']}"
    return dict((await cds("GET", path, params={"view": "own"})).json()["traits"])


async def test_register_link_and_read_the_unified_profile(cds: Cds, provider: Provider) -> None:
    issuer_id = await trust(cds, provider)
    await cds.define("traits", {"attribute_name": "traits.plan"}, {"attribute_name": "traits.colour"})
    visitor = await cds.create(traits={"plan": "trial"})
    address = email()
    token = provider.sign_in(address, register=True)
    user_id = f"{issuer_id}:{subject_of(token)}"
    body = {"profile_id": visitor["profile_id"], "user_id": user_id}
    assert (await cds("POST", "/profiles/link", json=body, token=token)).status_code == 403
    linked = await cds("POST", "/profiles/link", json=body)
    assert (linked.status_code, linked.json()) == (200, body)

    tracker = {"Cookie": f"cds_profile={visitor['anonymous_profile_tracker']}"}
    me = await cds("GET", "/profiles/Me", token=token, headers=tracker)
    assert me.json()["profile_id"] == visitor["profile_id"]
    assert me.json()["user_id"] == user_id
    assert await own_traits(cds, visitor) == {"plan": "trial"}

    second = await cds.create(traits={"colour": "red"})
    second_token = provider.sign_in(address)
    assert subject_of(second_token) == subject_of(token)
    body = {"profile_id": second["profile_id"], "user_id": user_id}
    assert (await cds("POST", "/profiles/link", json=body)).status_code == 200
    path = f"/profiles/{second['profile_id']}"
    assert (await cds("GET", path, token=second_token)).status_code == 404
    # The link names the user; the tracker together with the user's token proves it.
    brought = {"Cookie": f"cds_profile={second['anonymous_profile_tracker']}"}
    assert (await cds("GET", "/profiles/Me", token=second_token, headers=brought)).status_code == 200
    absorbed = (await cds("GET", path, token=second_token)).json()
    assert absorbed["merged_to"] == {"profile_id": visitor["profile_id"], "reason": "system:user_id_match"}
    own = (await cds("GET", "/profiles/Me", token=second_token)).json()
    assert own["user_id"] == user_id
    assert await own_traits(cds, visitor) == {"plan": "trial", "colour": "red"}


async def test_another_user_cannot_claim_the_profile(cds: Cds, provider: Provider) -> None:
    await trust(cds, provider)
    ann, ben = (provider.sign_in(email(), register=True) for _ in range(2))
    visitor = await cds.create()
    for token, expected in ((ann, 200), (ben, 409)):
        body = {"profile_id": visitor["profile_id"], "user_id": subject_of(token)}
        assert (await cds("POST", "/profiles/link", json=body)).status_code == expected


async def test_tokens_of_rotated_keys_are_rejected(cds: Cds, provider: Provider) -> None:
    await trust(cds, provider)
    old = provider.sign_in(email(), register=True)
    assert await read(cds, old) == NO_PROFILE
    provider.post("/test/rotate")
    assert await read(cds, provider.sign_in(email(), register=True)) == NO_PROFILE
    cds.services.callers.guard._cache.clear()
    assert await read(cds, old) == 401


async def test_an_expired_token_is_accepted_for_60_seconds(
    cds: Cds, provider: Provider, clock: SettableClock
) -> None:
    await trust(cds, provider)
    provider.post("/test/lifetime?seconds=1")
    token = provider.sign_in(email(), register=True)
    provider.post("/test/lifetime?seconds=600")
    payload = token.split(".")[1]
    expires_at = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    clock.now_s = expires_at + 59
    assert await read(cds, token) == NO_PROFILE
    clock.now_s = expires_at + 61
    assert await read(cds, token) == 401


async def test_a_token_for_another_audience_is_rejected(cds: Cds, provider: Provider) -> None:
    await trust(cds, provider)
    assert await read(cds, provider.sign_in(email(), register=True, resource="urn:another-api")) == 401


async def test_another_issuer_with_the_same_keys_is_rejected(cds: Cds, provider: Provider) -> None:
    """The trusted issuer has the keys of the provider, but another address."""
    keys = f"{provider.issuer}/jwks"
    issuers = cds.services.directory.issuers
    await issuers.add(cds.dataset_ref, issuer="https://login.example", jwks_uri=keys)
    assert await read(cds, provider.sign_in(email(), register=True)) == 401


async def test_an_organisation_without_the_trust_rejects_the_token(
    cds: Cds, stranger: Cds, provider: Provider
) -> None:
    await trust(cds, provider)
    token = provider.sign_in(email(), register=True)
    assert await read(cds, token) == NO_PROFILE
    assert await read(stranger, token) == 401


async def test_a_permission_that_was_not_granted_is_403(cds: Cds, provider: Provider) -> None:
    await trust(cds, provider)
    token = provider.sign_in(email(), register=True)
    answer = await cds("POST", "/profiles", json={}, token=token)
    assert (answer.status_code, answer.json()["code"]) == (403, "CDS-10003")


def test_the_lock_file_names_no_registry() -> None:
    lock = (ROOT / "tests" / "adapters" / "external_issuers" / "provider" / "package-lock.json").read_text(
        "utf-8"
    )
    assert '"resolved"' not in lock
