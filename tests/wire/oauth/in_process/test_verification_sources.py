"""Who verifies addresses and numbers: `email_verified_by` and `mobile_verified_by`.

Source: docs/decisions/0040-who-verifies.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from oneself.core.config.changes import PutSettings
from oneself.errors import Conflict
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Account, Registration
from oneself.service.directory.address_proofs import Asker
from oneself.service.identity_provider.reports import IdentityReport
from oneself.services import Services
from oneself.store.transaction import Tables
from support.visitor import PASSWORD, Application, Visitor, claims_of, heading
from wire.oauth.in_process.test_address_changes import NEW, ask
from wire.oauth.in_process.test_address_pages import is_verified, mails_of, newest_link, prove

EMAIL, MOBILE = "vera@acme.example", "+44 20 7946 0018"
ALL = ("mail", "provider", "administrator")
ASKER, ADMIN = Asker("Firefox on Linux", "192.0.2.7"), Actor("admin")

NewVisitor = Callable[..., Visitor]


async def let(services: Services, dataset_ref: DatasetRef, **settings: Any) -> None:
    await services.setup.activation.change(dataset_ref, PutSettings(**settings))


async def only_account(services: Services, dataset_ref: DatasetRef) -> Account:
    (account,) = await services.directory.accounts.list(dataset_ref)
    return account


async def verified_in_profile(services: Services, dataset_ref: DatasetRef, user_id: UUID | str) -> set[str]:
    tables = Tables(services.database, dataset_ref.dataset_id)
    return {path[1] for _, path in await tables.verified_claims.find([str(user_id)], ())}


class Config:
    """`/config` as an application calls it."""

    def __init__(self, visitor: Visitor, token: str) -> None:
        self._visitor, self._headers = visitor, {"Authorization": f"Bearer {token}"}

    async def patch(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        url = self._visitor.at("cds/api/v1/config")
        answer = await self._visitor.http.patch(url, json=changes, headers=self._headers)
        return answer.status_code, dict(answer.json())


@pytest.fixture
async def config(system: Application, visitor: Visitor) -> Config:
    scope = "internal_cds_admin_config_view internal_cds_admin_config_update"
    token = (await system.token(grant_type="client_credentials", scope=scope)).json()["access_token"]
    return Config(visitor, token)


async def test_an_application_reads_and_sets_them(config: Config) -> None:
    _, unchanged = await config.patch()
    assert not {"email_verified_by", "mobile_verified_by"} & unchanged.keys(), "omitted while all count"
    _, changed = await config.patch(
        email_verified_by=["administrator", "mail", "mail"], mobile_verified_by=[]
    )
    assert changed["email_verified_by"] == ["mail", "administrator"]
    assert changed["mobile_verified_by"] == []
    _, again = await config.patch(email_verified_by=list(ALL))
    assert "email_verified_by" not in again
    assert again["mobile_verified_by"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"email_verified_by": ["code"]},
        {"mobile_verified_by": ["mail"]},
        {"email_verified_by": ["provider", "nobody"]},
        {"email_verified_by": "mail"},
        {"email_verified_by": [7]},
        {"email_verified_by": ["provider"], "verified_address_first": True},
    ],
    ids=str,
)
async def test_settings_that_are_invalid_change_nothing(config: Config, changes: dict[str, Any]) -> None:
    status, answer = await config.patch(**changes)
    assert (status, answer["code"]) == (400, "CDS-16002")
    assert "email_verified_by" not in (await config.patch())[1]


async def test_a_verified_address_first_keeps_mail(config: Config) -> None:
    assert (await config.patch(verified_address_first=True))[0] == 200
    assert (await config.patch(email_verified_by=["provider"]))[0] == 400
    assert (await config.patch(email_verified_by=["provider"], verified_address_first=False))[0] == 200
    assert (await config.patch(verified_address_first=True))[0] == 400


async def test_without_mail_nobody_is_sent_a_link_and_no_link_proves(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    link = await newest_link(services, dataset_ref)
    assert "accounts/verify/send" in (await visitor.open("accounts")).text
    sent = len(await mails_of(services, dataset_ref))
    await let(services, dataset_ref, email_verified_by=("provider", "administrator"))

    account = await only_account(services, dataset_ref)
    assert await services.directory.address_proofs.ask(dataset_ref, account, ASKER) == 0
    assert len(await mails_of(services, dataset_ref)) == sent
    assert "accounts/verify/send" not in (await visitor.open("accounts")).text
    page = await visitor.http.get(link)
    assert (page.status_code, heading(page)) == (410, "Addresses are not confirmed by mail here")
    confirmed = await services.directory.address_proofs.confirm(dataset_ref, _secret(link), PASSWORD)
    assert confirmed == "not_accepted"
    assert not await is_verified(services, dataset_ref)

    await let(services, dataset_ref, email_verified_by=ALL)
    await prove(visitor, link)
    assert await is_verified(services, dataset_ref)


async def test_without_mail_recovery_gives_the_account_and_no_proof(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await let(services, dataset_ref, email_verified_by=("provider",))
    await visitor.register(EMAIL)
    account, recoveries = await only_account(services, dataset_ref), services.directory.recoveries
    for number, begin in enumerate(("reclaim", "begin_anew")):
        await recoveries.ask(dataset_ref, EMAIL, ASKER)
        secret = _secret(await newest_link(services, dataset_ref))
        form = Registration(EMAIL, f"a new long password {number}", "Vera", "Vance")
        if begin == "reclaim":
            outcome = await recoveries.reclaim(dataset_ref, secret, account.user_id, form)
        else:
            outcome = await recoveries.begin_anew(dataset_ref, secret, form)
        assert isinstance(outcome, Account)
        assert outcome.verified == {}
        assert await services.directory.accounts.authenticate(dataset_ref, EMAIL, form.password)


async def test_without_mail_a_changed_address_is_unverified(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    await prove(visitor, await newest_link(services, dataset_ref))
    await let(services, dataset_ref, email_verified_by=("provider",))
    await ask(visitor, NEW)
    await services.directory.postman.deliver_due()
    mails = await services.directory.outbox.list_delivered(dataset_ref)
    new = next(mail for mail in mails if mail.recipient == NEW)
    found = next(line for line in new.content.text.splitlines() if line.startswith("http"))
    await prove(visitor, f"{urlsplit(found).path}?{urlsplit(found).query}")
    account = await only_account(services, dataset_ref)
    assert (account.username, account.verified) == (NEW, {})
    assert await verified_in_profile(services, dataset_ref, account.user_id) == set()


async def test_without_administrators_nobody_is_verified_by_one(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=MOBILE)
    users, account = services.directory.users, await only_account(services, dataset_ref)
    await let(services, dataset_ref, mobile_verified_by=("code",))
    with pytest.raises(Conflict) as refused:
        await users.change(dataset_ref, ADMIN, account.user_id, {}, {"mobile": True})
    assert refused.value.code == "verification_source"
    assert (await only_account(services, dataset_ref)).verified == {}
    # The e-mail address has a setting of its own.
    after = await users.change(dataset_ref, ADMIN, account.user_id, {}, {"emailaddress": True})
    assert set(after.verified) == {"emailaddress"}
    await let(services, dataset_ref, mobile_verified_by=("administrator",), email_verified_by=())
    # What is verified can be verified again, and can be withdrawn.
    repeated = await users.change(
        dataset_ref, ADMIN, account.user_id, {}, {"mobile": True, "emailaddress": True}
    )
    assert set(repeated.verified) == {"emailaddress", "mobile"}
    gone = await users.change(dataset_ref, ADMIN, account.user_id, {}, {"emailaddress": False})
    assert set(gone.verified) == {"mobile"}
    with pytest.raises(Conflict):
        await users.change(dataset_ref, ADMIN, account.user_id, {}, {"emailaddress": True})


async def test_what_is_verified_stays_verified(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, await shop.registration(scope="openid email"))
    await prove(visitor, await newest_link(services, dataset_ref))
    account = await only_account(services, dataset_ref)
    await let(services, dataset_ref, email_verified_by=(), mobile_verified_by=())
    tokens = await shop.tokens(await shop.authorize(scope="openid email"))
    assert claims_of(tokens["id_token"])["email_verified"] is True
    assert await verified_in_profile(services, dataset_ref, account.user_id) == {"emailaddress"}


async def test_without_providers_reports_verify_nothing_new(
    services: Services, dataset_ref: DatasetRef
) -> None:
    async def report(user: str, address: str | None) -> set[str]:
        claims = {} if address is None else {"http://wso2.org/claims/emailaddress": address}
        said = IdentityReport("claims_set", "x", user, claims=claims, verified=("emailaddress",))
        await services.identity_provider.reports.handle_report(dataset_ref, said)
        return await verified_in_profile(services, dataset_ref, user)

    assert await report("ann", EMAIL) == {"emailaddress"}
    await let(services, dataset_ref, email_verified_by=("mail",))
    assert await report("bob", "bob@acme.example") == set()
    assert await report("bob", None) == set()
    # The same report of what was verified before.
    assert await report("ann", EMAIL) == {"emailaddress"}
    assert await report("ann", None) == {"emailaddress"}
    assert await report("ann", "another@acme.example") == set()
    await let(services, dataset_ref, email_verified_by=ALL)
    assert await report("bob", "bob@acme.example") == {"emailaddress"}


async def test_the_subject_never_changes(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    """Whatever is verified, changed or withdrawn."""
    scope = "openid email phone"

    async def subjects() -> set[str]:
        tokens = await shop.tokens(await shop.authorize(scope=scope))
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        answer = await visitor.http.get(visitor.at("oauth2/userinfo"), headers=headers)
        named = claims_of(tokens["id_token"]), claims_of(tokens["access_token"]), answer.json()
        return {claims["sub"] for claims in named}

    await visitor.register(EMAIL, mobile=MOBILE)
    account, users = await only_account(services, dataset_ref), services.directory.users
    found = await subjects()
    await prove(visitor, await newest_link(services, dataset_ref))
    found |= await subjects()
    await users.change(dataset_ref, ADMIN, account.user_id, {"mobile": "+44 20 7946 0019"}, {"mobile": True})
    found |= await subjects()
    await users.withdraw_address(dataset_ref, ADMIN, await users.get(dataset_ref, account.user_id))
    found |= await subjects()
    assert found == {str(account.user_id)}


def _secret(link: str) -> str:
    return parse_qs(urlsplit(link).query)["link"][0]
