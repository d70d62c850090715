"""Claims in the tokens of trusted issuers (docs/decisions/0039-claims-in-tokens-of-trusted-issuers.md)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from oneself.core.config.changes import PutSettings
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.service.context import Actor
from oneself.service.identity_provider.issuer_reports import ClaimStatement, IssuerReport
from oneself.service.identity_provider.reports import IdentityReport
from oneself.service.log.verify import verify
from oneself.store.transaction import Tables
from support.caller import Cds
from support.tunables import tuned
from wire.issuer import Issuer

WSO2 = "http://wso2.org/claims"
EMAIL, OTHER, MOBILE = "ann@acme.example", "anna@acme.example", "+44 20 7946 0018"
SCOPE = "internal_cds_profile_view internal_cds_profile_update internal_cds_profile_create"
NOW = int(time.time()) - 100


@pytest.fixture(scope="module")
def server() -> Iterator[Issuer]:
    server = Issuer()
    yield server
    server.stop()


class Provider:
    """A trusted issuer, and the people who sign in there."""

    def __init__(self, cds: Cds, server: Issuer, issuer_id: UUID) -> None:
        self.cds, self.server, self.issuer_id = cds, server, issuer_id

    def user_id(self, sub: str) -> str:
        return f"{self.issuer_id}:{sub}"

    def token(self, sub: str, iat: float | None = NOW, **claims: Any) -> str:
        return self.server.token(iss=self.server.url, azp="app", sub=sub, scope=SCOPE, iat=iat, **claims)

    async def me(self, sub: str, iat: float | None = NOW, /, **claims: Any) -> dict[str, Any]:
        """What somebody reads of themselves with a token that has these claims."""
        answer = await self.cds("GET", "/profiles/Me", token=self.token(sub, iat, **claims))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def link(self, sub: str) -> str:
        """Give a user a profile."""
        created = await self.cds("POST", "/profiles", json={"user_id": self.user_id(sub)})
        assert created.status_code == 201, created.text
        return str(created.json()["profile_id"])

    async def set(self, **fields: Any) -> None:
        await self.cds.services.directory.issuers.change(self.cds.dataset_ref, self.issuer_id, **fields)

    async def verified(self, sub: str) -> dict[str, str]:
        """Claim → value, of those that a user has verified."""
        tables = Tables(self.cds.services.database, self.cds.dataset_ref.dataset_id)
        found = await tables.verified_claims.find([self.user_id(sub)], ())
        return {path[1]: claim.value for (_, path), claim in found.items()}

    async def record(self, *ids: str) -> str:
        """A record of a CRM with an address."""
        body = {IDENTITY_ATTRIBUTES: {"emailaddress": ids[0]}}
        created = await self.cds("POST", "/profiles?tracker=false", json=body)
        assert created.status_code == 201, created.text
        return str(created.json()["profile_id"])

    async def entries(self) -> int:
        count = "SELECT count(*) FROM log WHERE kind = 'claims'"
        return int(await self.cds.services.database.fetchval(count))


@pytest_asyncio.fixture
async def provider(cds: Cds, server: Issuer) -> AsyncIterator[Provider]:
    issuer = await cds.services.directory.issuers.add(cds.dataset_ref, issuer=server.url)
    rule = {
        "rule_name": "email",
        "property_name": "identity_attributes.emailaddress",
        "priority": 1,
        "is_active": True,
    }
    assert (await cds("POST", "/unification-rules", json=rule)).status_code == 201
    yield Provider(cds, server, issuer.issuer_id)
    assert (await verify(cds.services.database, lambda done, total: None)).difference is None


async def test_a_token_makes_no_profile_and_reports_to_one(provider: Provider) -> None:
    token = provider.token("ann", email=EMAIL, email_verified=True)
    assert (await provider.cds("GET", "/profiles/Me", token=token)).status_code == 404
    assert (await provider.cds("PATCH", "/profiles/Me", json={}, token=token)).status_code == 401
    assert (await provider.cds("POST", "/profiles", json={}, token=token)).status_code == 403
    assert await provider.entries() == 0

    await provider.link("ann")
    answer = await provider.cds("GET", "/profiles/Me", token=token)
    assert answer.json()["identity_attributes"]["emailaddress"] == EMAIL
    assert await provider.verified("ann") == {"emailaddress": EMAIL}


async def test_a_verified_address_brings_what_servers_began_with_it(provider: Provider) -> None:
    record, _ = await provider.record(EMAIL), await provider.link("ann")
    assert record not in str(await provider.me("ann", email=EMAIL))
    assert record in str(await provider.me("ann", NOW + 1, email=EMAIL, email_verified=True))


async def test_each_way_of_the_token_to_a_profile_reports(provider: Provider) -> None:
    requests = [
        ("GET", "/profiles/Me", {}),
        ("PATCH", "/profiles/Me", {"json": {}}),
        ("POST", "/profiles", {"json": {}}),
    ]
    for number, (method, path, options) in enumerate(requests):
        await provider.link(f"user {number}")
        token = provider.token(f"user {number}", email=f"{number}@acme.example", email_verified=True)
        answer = await provider.cds(method, path, token=token, **options)
        assert answer.json()["identity_attributes"]["emailaddress"] == f"{number}@acme.example"


async def test_all_claims_are_mirrored(provider: Provider) -> None:
    await provider.link("ann")
    standard = {"given_name": "Ann", "family_name": "Archer", "preferred_username": "ann"}
    expected = {
        "emailaddress": EMAIL,
        "givenname": "Ann",
        "lastname": "Archer",
        "mobile": MOBILE,
        "username": "ann",
    }
    assert (await provider.me("ann", email=EMAIL, phone_number=MOBILE, **standard))[
        "identity_attributes"
    ] == expected
    await provider.link("bob")
    named = {f"{WSO2}/{name}": value for name, value in expected.items()}
    assert (await provider.me("bob", **named))["identity_attributes"] == expected
    assert await provider.verified("ann") == await provider.verified("bob") == {}


STATEMENTS = [
    ({"email_verified": True}, True),
    ({"email_verified": "true"}, True),
    ({"email_verified": " True "}, True),
    ({f"{WSO2}/identity/emailVerified": "true"}, True),
    ({f"{WSO2}/identity/emailVerified": True, "email_verified": True}, True),
    ({}, False),
    ({"email_verified": False}, False),
    ({"email_verified": "false"}, False),
    ({"email_verified": "yes"}, False),
    ({"email_verified": 1}, False),
    ({"email_verified": [True]}, False),
    ({"Email_Verified": True, "emailVerified": True}, False),
    ({"http://evil.example/identity/emailVerified": "true"}, False),
    ({"phone_number_verified": True}, False),
    ({f"{WSO2}/identity/emailVerified": "true", "email_verified": False}, False),
    ({"email_verified": True, f"{WSO2}/emailaddress": OTHER}, False),
    ({"oneself:report": {"verified": ["emailaddress"]}}, False),
]


@pytest.mark.parametrize(("claims", "is_verified"), STATEMENTS, ids=str)
async def test_what_says_that_a_claim_is_verified(
    provider: Provider, claims: dict[str, Any], is_verified: bool
) -> None:
    await provider.link("ann")
    shown = await provider.me("ann", email=EMAIL, **claims)
    assert shown["identity_attributes"]["emailaddress"] == EMAIL
    assert await provider.verified("ann") == ({"emailaddress": EMAIL} if is_verified else {})


async def test_the_phone_number_has_its_own_claim(provider: Provider) -> None:
    for sub, name in (("ann", "phone_number_verified"), ("bob", f"{WSO2}/identity/phoneVerified")):
        await provider.link(sub)
        number = f"{MOBILE}{len(sub + name)}"
        await provider.me(sub, phone_number=number, **{name: "true"})
        assert await provider.verified(sub) == {"mobile": number}


@pytest.mark.parametrize(
    "iat",
    [None, "soon", True, 0, -5, float(NOW + 10_000)],
    ids=["missing", "text", "boolean", "1970", "before 1970", "in the future"],
)
async def test_a_token_that_does_not_say_when_it_was_issued_reports_nothing(
    provider: Provider, iat: Any
) -> None:
    await provider.link("ann")
    assert "identity_attributes" not in await provider.me("ann", iat, email=EMAIL, email_verified=True)


async def test_changes_arrive_with_the_next_token_and_an_older_one_changes_nothing(
    provider: Provider,
) -> None:
    await provider.link("ann")
    await provider.me("ann", email=EMAIL, email_verified=True)
    before = await provider.entries()
    await provider.me("ann", NOW + 10, email=EMAIL, email_verified=True)
    await provider.me("ann", NOW + 10, phone_number=MOBILE)
    await provider.me("ann", NOW + 11, email=EMAIL, email_verified=True)
    assert await provider.entries() == before + 1, "tokens that say nothing new write nothing"

    changed = await provider.me("ann", NOW + 20, email=OTHER)
    assert changed["identity_attributes"] == {"emailaddress": OTHER, "mobile": MOBILE}
    assert await provider.verified("ann") == {}
    older = await provider.me("ann", NOW + 15, email=EMAIL, email_verified=True)
    assert older["identity_attributes"]["emailaddress"] == OTHER
    assert await provider.verified("ann") == {}

    await provider.me("ann", NOW + 30, email=OTHER, email_verified="true")
    assert await provider.verified("ann") == {"emailaddress": OTHER}
    cleared = await provider.me("ann", NOW + 40, email="")
    assert cleared["identity_attributes"] == {"mobile": MOBILE}
    assert await provider.verified("ann") == {}


async def test_a_token_can_say_alone_that_a_claim_is_verified_no_longer(provider: Provider) -> None:
    await provider.link("ann")
    await provider.me("ann", email=EMAIL)
    await provider.me("ann", NOW + 1, email_verified=True)
    assert await provider.verified("ann") == {}, "a token without a value verifies nothing"
    await provider.me("ann", NOW + 2, email=EMAIL, email_verified=True)
    assert await provider.verified("ann") == {"emailaddress": EMAIL}
    shown = await provider.me("ann", NOW + 3, email_verified=False)
    assert await provider.verified("ann") == {}
    assert shown["identity_attributes"]["emailaddress"] == EMAIL


async def test_a_claim_that_somebody_else_verified_since_is_not_taken_back(provider: Provider) -> None:
    for sub in ("ann", "bob"):
        await provider.link(sub)
    await provider.me("ann", email=EMAIL, email_verified=True)
    await provider.me("bob", email=EMAIL, email_verified=True)
    assert (await provider.verified("ann"), await provider.verified("bob")) == ({}, {"emailaddress": EMAIL})
    for later in range(1, 4):
        await provider.me("ann", NOW + later, email=EMAIL, email_verified=True)
    assert await provider.verified("bob") == {"emailaddress": EMAIL}
    record = await provider.record(EMAIL)
    assert record in str(await provider.me("bob", email=EMAIL, email_verified=True))
    assert record not in str(await provider.me("ann", NOW + 9, email=EMAIL, email_verified=True))


async def test_an_unverified_address_identifies_nobody(provider: Provider) -> None:
    """Somebody writes another person's address at an issuer that does not verify it."""
    record = await provider.record(EMAIL)
    await provider.link("mallory")
    shown = await provider.me("mallory", email=EMAIL)
    assert record not in str(shown)
    proven = await provider.cds("GET", f"/profiles/{record}")
    assert "user_id" not in proven.json()


@pytest.mark.parametrize("tunables", [tuned(trusts_life_s=0.0)])
async def test_the_setting_of_the_issuer_decides(provider: Provider) -> None:
    for sub in ("ann", "bob", "cat"):
        await provider.link(sub)
    await provider.me("cat", email="cat@acme.example", email_verified=True)
    await provider.set(verified_claims="always")
    await provider.me("ann", email=EMAIL, email_verified=False)
    assert await provider.verified("ann") == {"emailaddress": EMAIL}

    await provider.set(verified_claims="never")
    await provider.me("bob", email=OTHER, email_verified=True)
    assert await provider.verified("bob") == {}
    # What was verified before stays, until the issuer says otherwise.
    await provider.me("ann", NOW + 1, email=EMAIL)
    await provider.me("cat", NOW + 1, email="cat@acme.example", email_verified=True)
    assert await provider.verified("ann") == {"emailaddress": EMAIL}
    assert await provider.verified("cat") == {"emailaddress": "cat@acme.example"}
    await provider.me("cat", NOW + 2, email="cat@acme.example", email_verified=False)
    await provider.me("ann", NOW + 2, email="another@acme.example", email_verified=True)
    assert (await provider.verified("ann"), await provider.verified("cat")) == ({}, {})

    await provider.set(verified_claims="as_stated")
    await provider.me("bob", NOW + 1, email=OTHER, email_verified=True)
    assert await provider.verified("bob") == {"emailaddress": OTHER}


async def test_an_organisation_that_lets_no_provider_verify(provider: Provider) -> None:
    cds = provider.cds
    for sub in ("ann", "bob"):
        await provider.link(sub)
    await provider.me("ann", email=EMAIL, email_verified=True)

    async def let(*sources: str) -> None:
        await cds.services.setup.activation.change(cds.dataset_ref, PutSettings(email_verified_by=sources))

    await let("mail", "administrator")
    shown = await provider.me("bob", email=OTHER, email_verified=True)
    assert shown["identity_attributes"]["emailaddress"] == OTHER
    await provider.me("ann", NOW + 1, email=EMAIL, email_verified=True)
    assert (await provider.verified("ann"), await provider.verified("bob")) == ({"emailaddress": EMAIL}, {})
    await let("mail", "provider")
    await provider.me("bob", NOW + 1, email=OTHER, email_verified=True)
    await provider.me("ann", NOW + 2, email=EMAIL, email_verified=False)
    assert (await provider.verified("ann"), await provider.verified("bob")) == ({}, {"emailaddress": OTHER})


async def test_reports_that_arrive_together_leave_the_newest(provider: Provider) -> None:
    await provider.link("ann")
    reports, ref = provider.cds.services.identity_provider.issuer_reports, provider.cds.dataset_ref
    order = [3, 7, 1, 9, 5, 2, 8]
    await asyncio.gather(
        *(
            reports.record(
                ref,
                Actor("cds"),
                provider.user_id("ann"),
                IssuerReport(at, (ClaimStatement("emailaddress", f"{at}@acme.example", is_verified=True),)),
            )
            for at in order
        )
    )
    assert await provider.verified("ann") == {"emailaddress": "9@acme.example"}


async def test_an_erased_user_leaves_nothing_behind(provider: Provider) -> None:
    profile_id = await provider.link("ann")
    token = provider.token("ann", email=EMAIL, email_verified=True)
    await provider.cds("GET", "/profiles/Me", token=token)
    count = "SELECT count(*) FROM issuer_claims"
    assert await provider.cds.services.database.fetchval(count) == 1
    assert (await provider.cds("DELETE", f"/profiles/{profile_id}")).status_code == 204
    assert await provider.cds.services.database.fetchval(count) == 0
    assert (await provider.cds("GET", "/profiles/Me", token=token)).status_code == 404


@pytest.mark.parametrize("value", [["x"], {"a": "b"}, "", 7], ids=str)
async def test_a_report_of_an_invalid_value_verifies_no_other(provider: Provider, value: Any) -> None:
    """The flag of an identity server is about the value that it sends, not about the one before."""
    reports, ref = provider.cds.services.identity_provider.reports, provider.cds.dataset_ref
    for claims, verified in (({"emailaddress": EMAIL}, ()), ({"emailaddress": value}, ("emailaddress",))):
        await reports.handle_report(
            ref, IdentityReport("claims_set", "x", "mallory", claims=claims, verified=verified)
        )
    tables = Tables(provider.cds.services.database, ref.dataset_id)
    assert await tables.verified_claims.find(["mallory"], ()) == {}
