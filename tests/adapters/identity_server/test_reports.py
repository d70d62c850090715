"""Every row of the table of `/profiles/sync`: effect and answer (docs/wire/cds.md §12)."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import msgspec
import pytest

from adapters.identity_server.conftest import Reporter
from oneself.api.app import create_app
from oneself.bootstrap import build_services
from oneself.core.resolution.observation import ClaimsReport, Observation, SignIn
from oneself.service.identity_provider.directory_claims import DirectoryClaim
from oneself.service.log.verify import verify
from support.caller import Cds
from support.tunables import FAST

pytestmark = pytest.mark.asyncio

ANN, BOB = "u-ann", "u-bob"
EMAIL, GIVEN = "http://wso2.org/claims/emailaddress", "http://wso2.org/claims/givenname"
ADD, DELETE = "POST_ADD_USER", "POST_DELETE_USER_WITH_ID"
SET_ONE, SET_MANY = "POST_SET_USER_CLAIM_VALUE_WITH_ID", "POST_SET_USER_CLAIM_VALUES_WITH_ID"
SIGN_IN, SIGN_OUT = "AUTHENTICATION_SUCCESS", "SESSION_TERMINATE"


async def visit(cds: Cds, tracker: str | None = None) -> dict[str, Any]:
    """POST /profiles as a browser does; the profile."""
    cookie = {"Cookie": f"cds_profile={tracker}"} if tracker else {}
    answer = await cds("POST", "/profiles", json={}, headers=cookie)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


async def behind(cds: Cds, tracker: str) -> str:
    """The profile that applications read by the id that a browser is answered with."""
    answer = await cds("GET", f"/profiles/{(await visit(cds, tracker))['profile_id']}")
    return str(answer.json()["profile_id"])


async def user(cds: Cds, user_id: str) -> dict[str, Any] | None:
    """The profile of a user, from the list of profiles."""
    found = await cds.listed(filter=f"user_id eq {user_id}", attributes="identity_attributes,traits")
    assert len(found["profiles"]) <= 1
    return found["profiles"][0] if found["profiles"] else None


async def unify_by_mail(cds: Cds) -> None:
    rule = {
        "rule_name": "by mail",
        "property_name": "identity_attributes.emailaddress",
        "priority": 1,
        "is_active": True,
    }
    assert (await cds("POST", "/unification-rules", json=rule)).status_code == 201


async def profile_count(cds: Cds) -> int:
    return len((await cds.listed(page_size=200))["profiles"])


def is_empty(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.content == b""


def is_updated(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json() == {"status": "updated"}


class TestAuthentication:
    @pytest.mark.parametrize(
        "auth", [None, ("sync-administrator", "wrong"), ("wrong", "sync-password"), ("", "")]
    )
    async def test_bad_credentials_are_401(self, cds: Cds, report: Reporter, auth: Any) -> None:
        report.auth = auth
        answer = await report(ADD, userId=ANN)
        assert (answer.status_code, answer.json()["code"]) == (401, "CDS-10002")
        assert answer.json()["description"] == "Missing or invalid Authorization header"

    async def test_a_bearer_token_is_not_accepted(self, cds: Cds) -> None:
        answer = await cds("POST", "/profiles/sync", json={"event": ADD, "orgHandle": "acme", "userId": ANN})
        assert answer.status_code == 401

    @pytest.mark.parametrize("path", ["/profiles/sync", "/profile-schema/sync"])
    async def test_without_configured_credentials_every_report_is_rejected(self, cds: Cds, path: str) -> None:
        settings = msgspec.structs.replace(cds.services.settings, sync_username=None, sync_password=None)
        services = build_services(settings, cds.services.database, tunables=FAST)
        transport = httpx.ASGITransport(app=create_app(services, settings))
        async with httpx.AsyncClient(transport=transport, base_url=str(cds.http.base_url)) as http:
            report = Reporter(Cds(http, services, cds.dataset_ref, "crm"))
            report.auth = ("", "")
            assert (await report(ADD, path=path)).status_code == 401

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"orgHandle": 5}', b"{}", b'{"orgHandle": ""}'])
    async def test_a_bad_body_is_400(self, cds: Cds, report: Reporter, body: bytes) -> None:
        answer = await cds.http.post("/t/acme/cds/api/v1/profiles/sync", content=body, auth=report.auth)
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011")

    async def test_the_first_generation_of_the_extension_is_400(self, cds: Cds, report: Reporter) -> None:
        sent = {"event": ADD, "profileId": str(uuid.uuid4()), "tenantId": "acme"}
        answer = await cds.http.post("/t/acme/cds/api/v1/profiles/sync", json=sent, auth=report.auth)
        assert answer.status_code == 400

    async def test_the_body_names_the_organisation(self, cds: Cds, other: Cds, report: Reporter) -> None:
        sent = {"event": ADD, "orgHandle": "acme", "userId": ANN}
        path = f"/t/{other.dataset_ref.handle}/cds/api/v1/profiles/sync"
        assert is_empty(await cds.http.post(path, json=sent, auth=report.auth))
        assert await user(cds, ANN)
        assert await user(other, ANN) is None

    async def test_a_disabled_or_unknown_organisation_is_400(self, cds: Cds, report: Reporter) -> None:
        await cds("PATCH", "/config", json={"cds_enabled": False})
        answer = await report(ADD, userId=ANN)
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-16001")
        report.org = "unknown"
        assert (await report(ADD, userId=ANN)).json()["code"] == "CDS-16001"


class TestNewUsers:
    async def test_the_visitors_profile_gets_the_user_id(self, cds: Cds, report: Reporter) -> None:
        visitor = await visit(cds)
        tracker = visitor["anonymous_profile_tracker"]
        answer = await report(ADD, userId=ANN, profileCookie=tracker, claims={EMAIL: "ann@acme.example"})
        assert is_empty(answer)
        ann = await user(cds, ANN)
        assert ann is not None
        assert ann["profile_id"] == visitor["profile_id"]
        assert ann["identity_attributes"] == {"emailaddress": "ann@acme.example"}

    async def test_another_users_profile_is_not_changed_and_its_browser_moves(
        self, cds: Cds, report: Reporter
    ) -> None:
        visitor = await visit(cds)
        tracker = visitor["anonymous_profile_tracker"]
        await report(ADD, userId=ANN, profileCookie=tracker, claims={EMAIL: "ann@acme.example"})
        assert is_empty(
            await report(ADD, userId=BOB, profileCookie=tracker, claims={EMAIL: "bob@acme.example"})
        )
        ann, bob = await user(cds, ANN), await user(cds, BOB)
        assert ann
        assert bob
        assert (ann["profile_id"], ann["identity_attributes"]["emailaddress"]) == (
            visitor["profile_id"],
            "ann@acme.example",
        )
        assert await behind(cds, tracker) == bob["profile_id"]

    async def test_a_temporary_profile_merges_into_the_users_profile(
        self, cds: Cds, report: Reporter
    ) -> None:
        await report(ADD, userId=ANN)
        own = await user(cds, ANN)
        visitor = await visit(cds)
        await report(ADD, userId=ANN, profileCookie=visitor["anonymous_profile_tracker"])
        ann = await user(cds, ANN)
        assert own
        assert ann
        assert ann["profile_id"] == own["profile_id"]
        assert [child["profile_id"] for child in ann["merged_from"]] == [visitor["profile_id"]]
        assert ann["merged_from"][0]["reason"] == "system:user_id_match"

    async def test_with_an_unknown_cookie_the_profile_id_is_used(self, cds: Cds, report: Reporter) -> None:
        visitor = await visit(cds)
        answer = await report(ADD, userId=ANN, profileCookie="unknown", profileId=visitor["profile_id"])
        assert is_empty(answer)
        ann = await user(cds, ANN)
        assert ann
        assert ann["profile_id"] == visitor["profile_id"]

    @pytest.mark.parametrize("profile", ["another user's", "unknown", "no id"])
    async def test_without_a_usable_profile_one_is_created(
        self, cds: Cds, report: Reporter, profile: str
    ) -> None:
        visitor = await visit(cds)
        await report(ADD, userId=BOB, profileCookie=visitor["anonymous_profile_tracker"])
        ids = {"another user's": visitor["profile_id"], "unknown": str(uuid.uuid4()), "no id": "x"}
        assert is_empty(await report(ADD, userId=ANN, profileCookie="unknown", profileId=ids[profile]))
        ann, bob = await user(cds, ANN), await user(cds, BOB)
        assert ann
        assert bob
        assert ann["profile_id"] != visitor["profile_id"] == bob["profile_id"]

    async def test_without_a_cookie_one_profile_is_created(self, cds: Cds, report: Reporter) -> None:
        assert is_empty(await report(ADD, userId=ANN, claims={GIVEN: "Ann"}))
        first = await user(cds, ANN)
        assert is_empty(await report(ADD, userId=ANN, profileCookie=None))
        assert await user(cds, ANN) == first
        assert await profile_count(cds) == 1

    async def test_without_user_nothing_happens(self, cds: Cds, report: Reporter) -> None:
        assert is_empty(await report(ADD, claims={GIVEN: "Ann"}))
        assert is_empty(await report(ADD, userId="", profileCookie="x"))
        assert await profile_count(cds) == 0

    async def test_concurrent_reports_create_one_profile(self, cds: Cds, report: Reporter) -> None:
        answers = await asyncio.gather(
            *(report(ADD, userId=ANN, claims={GIVEN: f"Ann {n}"}) for n in range(20))
        )
        assert all(map(is_empty, answers))
        assert await profile_count(cds) == 1

    @pytest.mark.parametrize("user_id", ["null", "0000", "x" * 5000])
    async def test_a_blocked_user_id_is_rejected(self, cds: Cds, report: Reporter, user_id: str) -> None:
        answer = await report(ADD, userId=user_id, claims={GIVEN: "Ann"})
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011")
        assert await profile_count(cds) == 0


class TestClaims:
    @pytest.mark.parametrize("event", [SET_ONE, SET_MANY])
    async def test_claims_replace_attributes(self, cds: Cds, report: Reporter, event: str) -> None:
        await report(ADD, userId=ANN, claims={GIVEN: "Ann", EMAIL: "ann@acme.example"})
        assert is_empty(await report(event, userId=ANN, claims={GIVEN: "Anna"}))
        ann = await user(cds, ANN)
        assert ann
        assert ann["identity_attributes"] == {"givenname": "Anna", "emailaddress": "ann@acme.example"}

    async def test_claims_of_an_unknown_user_create_a_profile(self, cds: Cds, report: Reporter) -> None:
        assert is_empty(await report(SET_MANY, userId=ANN, claims={GIVEN: "Ann"}))
        assert await user(cds, ANN)

    async def test_claims_without_a_user_do_nothing(self, cds: Cds, report: Reporter) -> None:
        assert is_empty(await report(SET_MANY, userId="", claims={GIVEN: "Ann"}))
        assert is_empty(await report(SET_MANY, claims={GIVEN: "Ann"}))
        assert await profile_count(cds) == 0

    async def test_keys_types_and_nesting(self, cds: Cds, report: Reporter) -> None:
        """The key is the last part of the URI, dots nest, text is converted, one value becomes a list."""
        services, dataset_ref = cds.services, cds.dataset_ref
        for claim in (
            DirectoryClaim("address.city"),
            DirectoryClaim("age", value_type="integer"),
            DirectoryClaim("roles", multi_valued=True),
            DirectoryClaim("emailVerified", value_type="boolean"),
            DirectoryClaim("modified", value_type="date_time", read_only=True),
        ):
            await services.identity_provider.directory_claims.add(dataset_ref, claim)
        await report(
            SET_MANY,
            userId=ANN,
            claims={
                "http://wso2.org/claims/address.city": "Bern",
                "http://wso2.org/claims/age": "42",
                "http://wso2.org/claims/roles": "admin",
                "http://wso2.org/claims/identity/emailVerified": "true",
                "http://wso2.org/claims/modified": "2026-06-05T03:38:04Z",
            },
        )
        ann = await user(cds, ANN)
        assert ann
        assert ann["identity_attributes"] == {
            "address": {"city": "Bern"},
            "age": 42,
            "roles": ["admin"],
            "emailVerified": True,
            "modified": "2026-06-05T03:38:04Z",
        }

    async def test_invalid_values_are_skipped_and_counted(self, cds: Cds, report: Reporter) -> None:
        await cds.services.identity_provider.directory_claims.add(
            cds.dataset_ref, DirectoryClaim("age", value_type="integer")
        )
        claims = {
            GIVEN: "Ann",
            "http://wso2.org/claims/age": "old",
            "http://wso2.org/claims/shoe": "40",
            EMAIL: {"not": "text"},
        }
        for _ in range(2):
            assert is_empty(await report(SET_MANY, userId=ANN, claims=claims))
        ann = await user(cds, ANN)
        assert ann
        assert ann["identity_attributes"] == {"givenname": "Ann"}
        await cds.services.identity_provider.rejected_claims.flush()
        skipped = await cds.services.identity_provider.rejected_claims.list(cds.dataset_ref)
        assert {(claim.path, claim.times) for claim in skipped} == {
            ("identity_attributes.age", 2),
            ("identity_attributes.shoe", 2),
            ("identity_attributes.emailaddress", 2),
        }
        assert "old" not in repr(skipped)

    async def test_rules_apply_to_reported_claims_before_the_answer(self, cds: Cds, report: Reporter) -> None:
        await unify_by_mail(cds)
        lead = await cds.create(identity_attributes={"emailaddress": "Ann@acme.example"})
        await report(SET_MANY, userId=ANN, claims={EMAIL: "ann@acme.example", EMAIL_VERIFIED: "true"})
        ann = await user(cds, ANN)
        assert ann
        assert ann["profile_id"] == lead["profile_id"]

    async def test_an_unverified_claim_joins_no_known_person(self, cds: Cds, report: Reporter) -> None:
        await unify_by_mail(cds)
        lead = await cds.create(identity_attributes={"emailaddress": "ann@acme.example"})
        await report(SET_MANY, userId=ANN, claims={EMAIL: "ann@acme.example"})
        believed = await cds.listed(filter=f"user_id eq {ANN}", view="all")
        assert lead["profile_id"] not in [item["profile_id"] for item in believed["profiles"]]
        ann = await user(cds, ANN)
        assert ann
        assert ann["profile_id"] != lead["profile_id"]
        await report(SET_MANY, userId=ANN, claims={EMAIL: "ann@acme.example", EMAIL_VERIFIED: "true"})
        merged = (await cds("GET", f"/profiles/{lead['profile_id']}")).json()["merged_to"]
        assert merged == {"profile_id": ann["profile_id"], "reason": "by mail"}
        for profile_id in (ann["profile_id"], lead["profile_id"]):
            found = (await cds("GET", f"/profiles/{profile_id}", params={"view": "all"})).json()
            assert found["user_id"] == ANN


class TestDeletion:
    async def test_the_whole_person_is_erased(self, cds: Cds, report: Reporter) -> None:
        visitor, later = await visit(cds), await visit(cds)
        for profile in (visitor, later):
            await report(SIGN_IN, userId=ANN, profileCookie=profile["anonymous_profile_tracker"])
        assert is_empty(await report(DELETE, userId=ANN))
        assert await user(cds, ANN) is None
        for profile in (visitor, later):
            assert (await cds("GET", f"/profiles/{profile['profile_id']}")).status_code == 404

    @pytest.mark.parametrize("body", [{"userId": "unknown"}, {"userId": ""}, {}])
    async def test_an_unknown_user_is_404(self, cds: Cds, report: Reporter, body: dict[str, str]) -> None:
        answer = await report(DELETE, **body)
        assert (answer.status_code, answer.json()["code"]) == (404, "CDS-11001")

    async def test_a_second_deletion_is_404(self, cds: Cds, report: Reporter) -> None:
        await report(ADD, userId=ANN)
        assert is_empty(await report(DELETE, userId=ANN))
        assert (await report(DELETE, userId=ANN)).status_code == 404


class TestSessions:
    async def test_a_sign_in_gives_the_profile_the_user_id(self, cds: Cds, report: Reporter) -> None:
        visitor = await visit(cds)
        assert is_updated(
            await report(SIGN_IN, userId=ANN, profileCookie=visitor["anonymous_profile_tracker"])
        )
        ann = await user(cds, ANN)
        assert ann
        assert ann["profile_id"] == visitor["profile_id"]

    async def test_a_sign_in_merges_the_profile_into_the_users(self, cds: Cds, report: Reporter) -> None:
        await report(ADD, userId=ANN)
        visitor = await visit(cds)
        await report(SIGN_IN, userId=ANN, profileCookie=visitor["anonymous_profile_tracker"])
        read = (await cds("GET", f"/profiles/{visitor['profile_id']}")).json()
        ann = await user(cds, ANN)
        assert ann
        assert read["merged_to"]["profile_id"] == ann["profile_id"]

    async def test_a_repeated_sign_in_changes_nothing(self, cds: Cds, report: Reporter) -> None:
        tracker = (await visit(cds))["anonymous_profile_tracker"]
        await report(SIGN_IN, userId=ANN, profileCookie=tracker)
        before = await user(cds, ANN)
        assert is_updated(await report(SIGN_IN, userId=ANN, profileCookie=tracker))
        assert await user(cds, ANN) == before

    async def test_another_users_browser_moves_and_the_merge_is_refused(
        self, cds: Cds, report: Reporter
    ) -> None:
        visitor = await visit(cds)
        tracker = visitor["anonymous_profile_tracker"]
        await report(SIGN_IN, userId=ANN, profileCookie=tracker)
        ann = await user(cds, ANN)
        assert is_updated(await report(SIGN_IN, userId=BOB, profileCookie=tracker))
        bob = await user(cds, BOB)
        assert bob
        assert await user(cds, ANN) == ann
        assert await behind(cds, tracker) == bob["profile_id"]
        refused = "select code, profile_id::text, other_id::text from refusal"
        assert [tuple(row) for row in await cds.services.database.fetch(refused)] == [
            ("different_user", bob["profile_id"], visitor["profile_id"])
        ]

    @pytest.mark.parametrize("tracker", ["unknown", "", None, "\x01"])
    async def test_a_sign_in_with_an_unknown_cookie_does_nothing(
        self, cds: Cds, report: Reporter, tracker: str | None
    ) -> None:
        assert is_updated(await report(SIGN_IN, userId=ANN, profileCookie=tracker))
        assert await profile_count(cds) == 0

    async def test_a_sign_in_without_a_user_is_400(self, cds: Cds, report: Reporter) -> None:
        tracker = (await visit(cds))["anonymous_profile_tracker"]
        for body in ({}, {"userId": ""}):
            answer = await report(SIGN_IN, profileCookie=tracker, **body)
            assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011")

    async def test_a_sign_out_keeps_the_browser_on_its_profile(self, cds: Cds, report: Reporter) -> None:
        visitor = await visit(cds)
        tracker = visitor["anonymous_profile_tracker"]
        await report(SIGN_IN, userId=ANN, profileCookie=tracker)
        assert is_updated(await report(SIGN_OUT, userId=ANN, profileCookie=tracker))
        assert (await visit(cds, tracker))["profile_id"] == visitor["profile_id"]

    async def test_a_sign_out_detaches_the_browser_if_configured(self, cds: Cds, report: Reporter) -> None:
        await cds("PATCH", "/config", json={"detach_on_sign_out": True})
        visitor = await visit(cds)
        tracker = visitor["anonymous_profile_tracker"]
        await report(SIGN_IN, userId=ANN, profileCookie=tracker)
        assert is_updated(await report(SIGN_OUT, userId=ANN, profileCookie=tracker))
        again = await visit(cds, tracker)
        assert again["profile_id"] != visitor["profile_id"]
        assert "user_id" not in again

    async def test_a_sign_out_with_another_users_cookie_does_nothing(
        self, cds: Cds, report: Reporter
    ) -> None:
        tracker = (await visit(cds))["anonymous_profile_tracker"]
        await report(SIGN_IN, userId=ANN, profileCookie=tracker)
        await report(ADD, userId=BOB)
        for cookie in (tracker, "unknown", None):
            assert is_empty(await report(SIGN_OUT, userId=BOB, profileCookie=cookie))
        assert is_empty(await report(SIGN_OUT, userId=ANN))

    async def test_an_unknown_user_is_404(self, cds: Cds, report: Reporter) -> None:
        tracker = (await visit(cds))["anonymous_profile_tracker"]
        answer = await report(SIGN_OUT, userId="unknown", profileCookie=tracker)
        assert (answer.status_code, answer.json()["code"]) == (404, "CDS-11001")

    @pytest.mark.parametrize("event", ["POST_ADD_ROLE", "", "post_add_user"])
    async def test_any_other_event_is_acknowledged(self, cds: Cds, report: Reporter, event: str) -> None:
        assert is_updated(await report(event, userId=ANN))
        assert await profile_count(cds) == 0


async def test_the_log_folds_to_the_state(cds: Cds, report: Reporter) -> None:
    """Reports are observations; folding the log gives the same state (docs/concepts/log-and-fold.md)."""
    tracker = (await visit(cds))["anonymous_profile_tracker"]
    await report(ADD, userId=ANN, profileCookie=tracker, claims={GIVEN: "Ann", "http://x/unknown": "1"})
    await report(SIGN_IN, userId=BOB, profileCookie=tracker)
    await report(SET_ONE, userId=BOB, claims={EMAIL: "bob@acme.example"})
    await report(SIGN_OUT, userId=BOB, profileCookie=tracker)
    found = await verify(cds.services.database, lambda done, total: None)
    assert found.difference is None


EMAIL_VERIFIED = "http://wso2.org/claims/identity/emailVerified"
PHONE_VERIFIED = "http://wso2.org/claims/identity/phoneVerified"


class TestVerifiedClaims:
    """What the server says is verified is stored with the report; nothing else is."""

    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            ({EMAIL: "ann@acme.example", EMAIL_VERIFIED: "true"}, ("emailaddress",)),
            (
                {EMAIL: "ann@acme.example", EMAIL_VERIFIED: True, PHONE_VERIFIED: "TRUE"},
                ("emailaddress", "mobile"),
            ),
            ({EMAIL: "ann@acme.example", EMAIL_VERIFIED: "false"}, ()),
            ({EMAIL: "ann@acme.example"}, ()),
            ({EMAIL: "ann@acme.example", "http://evil.example/emailVerified": "true"}, ()),
            ({EMAIL: "ann@acme.example", EMAIL_VERIFIED: ["true"], PHONE_VERIFIED: 1}, ()),
        ],
    )
    @pytest.mark.parametrize("event", [ADD, SET_MANY])
    async def test_a_report_records_it(
        self, cds: Cds, report: Reporter, event: str, claims: dict[str, Any], expected: tuple[str, ...]
    ) -> None:
        assert is_empty(await report(event, userId=ANN, claims=claims))
        assert await self.recorded(cds) == expected

    async def test_so_does_one_that_brings_a_browser(self, cds: Cds, report: Reporter) -> None:
        tracker = (await visit(cds))["anonymous_profile_tracker"]
        claims = {EMAIL: "ann@acme.example", EMAIL_VERIFIED: "true"}
        assert is_empty(await report(ADD, userId=ANN, profileCookie=tracker, claims=claims))
        assert await self.recorded(cds) == ("emailaddress",)

    async def recorded(self, cds: Cds) -> tuple[str, ...]:
        rows = await cds.services.database.fetch(
            "SELECT content::text FROM log WHERE kind IN ('sign_in', 'claims')"
        )
        (observation,) = (msgspec.json.decode(row["content"], type=Observation) for row in rows)
        assert isinstance(observation, SignIn | ClaimsReport)
        return observation.verified
