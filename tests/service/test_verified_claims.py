"""Provider claims are verified or not: in the directory, in the log, in the history and in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.config.changes import PutSettings
from oneself.core.resolution.observation import ClaimsReport, Observation, SignIn
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Account, Registration
from oneself.service.history.entries import Verification
from oneself.service.history.timeline import verifications
from oneself.services import Services
from oneself.store.tables.log import ClaimReport

pytestmark = pytest.mark.postgres

EMAIL, MOBILE, OTHER_MOBILE = "ann@acme.example", "+44 20 7946 0018", "+44 20 7946 0019"
ADMIN = Actor("admin", "console")
PROFILE = UUID(int=7)


@pytest.fixture
async def dataset_ref(services: Services) -> DatasetRef:
    founded = await services.setup.provisioning.create("acme", client_id="crm", client_secret="a secret")
    return founded.dataset_ref


@pytest.fixture
async def ann(services: Services, dataset_ref: DatasetRef) -> Account:
    form = Registration(EMAIL, "a long enough password", "Ann", "Archer", MOBILE)
    return await services.directory.accounts.register(dataset_ref, form)


class Admin:
    """An administrator who changes one user."""

    def __init__(self, services: Services, dataset_ref: DatasetRef, user_id: UUID) -> None:
        self.services, self.dataset_ref, self.user_id = services, dataset_ref, user_id

    async def set(self, fields: dict[str, str] | None = None, **verified: bool) -> Account:
        return await self.services.directory.users.change(
            self.dataset_ref, ADMIN, self.user_id, fields or {}, verified
        )

    async def account(self) -> Account:
        return await self.services.directory.users.get(self.dataset_ref, self.user_id)

    async def observations(self) -> list[Observation]:
        rows = await self.services.database.fetch(
            "SELECT content::text FROM log WHERE kind IN ('sign_in', 'claims') ORDER BY seq, observation_id"
        )
        return [msgspec.json.decode(row["content"], type=Observation) for row in rows]

    async def history(self) -> list[tuple[str, bool]]:
        profiles = self.services.profiles
        view = await profiles.profiles.find_by_user(self.dataset_ref, str(self.user_id))
        assert view is not None
        person = await profiles.lookup.person(self.dataset_ref, view.survivor)
        steps = await self.services.history.timeline.history(self.dataset_ref, view, person)
        return [(step.claim, step.is_verified) for step in steps if isinstance(step, Verification)]

    async def audit(self) -> list[tuple[str | None, dict[str, bool]]]:
        entries = await self.services.log.audit.list_entries(self.dataset_ref, 0, 2**62, limit=100, offset=0)
        return [(entry.application, entry.claims) for entry in entries if entry.kind == "verify"]


@pytest.fixture
def admin(services: Services, dataset_ref: DatasetRef, ann: Account) -> Admin:
    return Admin(services, dataset_ref, ann.user_id)


async def test_a_new_account_has_nothing_verified(admin: Admin, ann: Account) -> None:
    assert ann.verified == {}
    assert (await admin.account()).verified == {}


async def test_verifying_keeps_its_instant_until_it_is_withdrawn(admin: Admin) -> None:
    first = (await admin.set(emailaddress=True)).verified
    assert set(first) == {"emailaddress"}
    assert (await admin.set(emailaddress=True)).verified == first
    assert (await admin.set({"given_name": "Anna", "mobile": f" {MOBILE} "})).verified == first
    assert (await admin.set(emailaddress=False)).verified == {}
    assert (await admin.account()).verified == {}


@pytest.mark.parametrize("number", [OTHER_MOBILE, ""])
async def test_another_value_ends_the_verification(admin: Admin, number: str) -> None:
    await admin.set(emailaddress=True, mobile=True)
    assert set((await admin.set({"mobile": number})).verified) == {"emailaddress"}
    assert set((await admin.set({"mobile": MOBILE})).verified) == {"emailaddress"}


async def test_a_value_is_changed_and_verified_at_once(admin: Admin) -> None:
    await admin.set(mobile=True)
    before = (await admin.account()).verified["mobile"]
    after = await admin.set({"mobile": OTHER_MOBILE}, mobile=True)
    assert (after.claims["mobile"], after.verified["mobile"] > before) == (OTHER_MOBILE, True)


async def test_only_a_present_address_or_number_is_verified(admin: Admin) -> None:
    await admin.set({"mobile": ""})
    for claim in ("mobile", "username", "givenname"):
        with pytest.raises(InvalidInput):
            await admin.set(**{claim: True})
    with pytest.raises(InvalidInput):
        await admin.set({"given_name": "Anna", "mobile": ""}, mobile=True)
    account = await admin.account()
    assert (account.verified, account.claims["givenname"]) == ({}, "Ann")


async def test_a_value_that_changed_meanwhile_is_not_verified(
    services: Services, dataset_ref: DatasetRef, admin: Admin, ann: Account
) -> None:
    await admin.set({"mobile": OTHER_MOBILE})
    with pytest.raises(Conflict) as rejected:
        await services.directory.accounts.change(dataset_ref, ann, {}, {"mobile": True})
    assert rejected.value.code == "value_changed"
    assert (await admin.account()).verified == {}
    await services.directory.accounts.delete(dataset_ref, ann.user_id)
    with pytest.raises(NotFound):
        await services.directory.accounts.change(dataset_ref, ann, {}, {"emailaddress": True})


async def test_the_log_has_what_an_administrator_verified(admin: Admin) -> None:
    await admin.set(emailaddress=True)
    await admin.set(emailaddress=True)
    await admin.set(emailaddress=False)
    said = [(o.name, o.values, o.verified) for o in await admin.observations() if isinstance(o, ClaimsReport)]
    values = {"identity_attributes": {"emailaddress": EMAIL}}
    assert said == [("verification", values, ("emailaddress",)), ("verification", values, ())]
    assert await admin.audit() == [("console", {"emailaddress": False}), ("console", {"emailaddress": True})]
    assert await admin.history() == [("emailaddress", True), ("emailaddress", False)]


async def test_a_change_of_the_value_is_no_verification(admin: Admin) -> None:
    await admin.set(mobile=True)
    await admin.set({"mobile": OTHER_MOBILE})
    assert await admin.audit() == [("console", {"mobile": True})]
    assert await admin.history() == [("mobile", True), ("mobile", False)]


async def test_while_the_service_is_not_enabled_the_account_alone_changes(
    services: Services, dataset_ref: DatasetRef, admin: Admin
) -> None:
    off = PutSettings(cds_enabled=False, system_applications=())
    await services.configurations.change(dataset_ref.dataset_id, lambda _: off)
    assert set((await admin.set(emailaddress=True)).verified) == {"emailaddress"}
    assert await admin.observations() == []


async def test_a_sign_in_records_what_is_verified(
    services: Services, dataset_ref: DatasetRef, admin: Admin, ann: Account
) -> None:
    sign_ins = services.directory.sign_ins
    await sign_ins.record_sign_in(dataset_ref, None, ann)
    await admin.set(emailaddress=True)
    session, token = await sign_ins.create_session(dataset_ref, ann)
    found = await sign_ins.find(dataset_ref, token)
    assert found is not None
    assert found.session_id == session.session_id
    for _ in range(3):
        await sign_ins.record_sign_in(dataset_ref, None, found.account)
    recorded = [o.verified for o in await admin.observations() if isinstance(o, SignIn)]
    assert recorded == [(), *[("emailaddress",)] * 3]
    assert await admin.history() == [("emailaddress", True)]


def _steps(reports: Sequence[tuple[Sequence[str], dict[str, Any]]]) -> list[tuple[int, str, bool]]:
    rows = [
        ClaimReport(at, PROFILE, tuple(verified), claims) for at, (verified, claims) in enumerate(reports)
    ]
    return [(step.at, step.claim, step.is_verified) for step in verifications(rows)]


def test_the_steps_of_a_verification() -> None:
    a, b = {"emailaddress": "a"}, {"emailaddress": "b"}
    address = ("emailaddress",)
    assert _steps([((), a), (address, a), ((), {"givenname": "Ann"}), (address, a)]) == [
        (1, "emailaddress", True)
    ]
    assert _steps([((), a), (address, {}), (address, a), ((), b)]) == [
        (1, "emailaddress", True),
        (3, "emailaddress", False),
    ]
    assert _steps([(address, a), (address, b)]) == [
        (0, "emailaddress", True),
        (1, "emailaddress", False),
        (1, "emailaddress", True),
    ]
