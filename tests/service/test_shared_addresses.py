"""An e-mail address reserves nothing until somebody has verified it: several accounts may have it.

Source: docs/concepts/trust.md, "Verified addresses".
"""

from __future__ import annotations

import asyncio

import pytest

from oneself.errors import Conflict
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import ACCOUNTS_AT_ONCE, Account, Accounts, Registration
from oneself.services import Services

pytestmark = pytest.mark.postgres

EMAIL = "vera@acme.example"
ADMIN = Actor("admin", "console")


@pytest.fixture
async def dataset_ref(services: Services) -> DatasetRef:
    founded = await services.setup.provisioning.create("acme", client_id="crm", client_secret="a secret")
    return founded.dataset_ref


@pytest.fixture
def accounts(services: Services) -> Accounts:
    return services.directory.accounts


def form(password: str, email: str = EMAIL) -> Registration:
    return Registration(email, password, "Vera", "Archer")


async def register(accounts: Accounts, dataset_ref: DatasetRef, *passwords: str) -> list[Account]:
    return [await accounts.register(dataset_ref, form(password)) for password in passwords]


async def test_somebody_who_was_first_keeps_nobody_out(accounts: Accounts, dataset_ref: DatasetRef) -> None:
    stranger, vera = await register(accounts, dataset_ref, "the stranger's own", "a password of Vera")
    assert await accounts.authenticate(dataset_ref, EMAIL, "a password of Vera") == vera
    assert await accounts.authenticate(dataset_ref, EMAIL.upper(), "the stranger's own") == stranger
    assert await accounts.authenticate(dataset_ref, EMAIL, "something else entirely") is None


async def test_of_equal_passwords_the_newest_account_is_meant(
    accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    _, newest = await register(accounts, dataset_ref, "twice the same one", "twice the same one")
    assert await accounts.authenticate(dataset_ref, EMAIL, "twice the same one") == newest


async def test_nobody_is_pushed_out_by_later_registrations(
    accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    (vera,) = await register(accounts, dataset_ref, "a password of Vera")
    await asyncio.gather(
        *(accounts.register(dataset_ref, form(f"of stranger number {n}")) for n in range(30))
    )
    assert await accounts.authenticate(dataset_ref, EMAIL, "a password of Vera") == vera


async def test_very_many_later_registrations_push_nobody_out(
    services: Services, accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    """Also with an account whose password has a salt of its own, as in earlier versions."""
    vera, old = await register(accounts, dataset_ref, "a password of Vera", "from earlier versions")
    own_salt = await accounts._hasher.hash("from earlier versions")
    await services.database.execute(
        "UPDATE account SET password_hash = $1 WHERE user_id = $2", own_salt, old.user_id
    )
    await services.database.execute(
        """
        INSERT INTO account (org_id, user_id, username, username_key, password_hash, claims, created_at,
                             updated_at, used_at)
        SELECT org_id, gen_random_uuid(), username, username_key,
               left(password_hash, -12) || lpad(n::text, 12, 'A'), claims, now(), now(), now()
        FROM account, generate_series(1, $2) AS n WHERE user_id = $1
        """,
        vera.user_id,
        ACCOUNTS_AT_ONCE + 100,
    )
    assert await accounts.authenticate(dataset_ref, EMAIL, "a password of Vera") == vera
    assert await accounts.authenticate(dataset_ref, EMAIL, "from earlier versions") == old
    assert await accounts.authenticate(dataset_ref, EMAIL, "something else entirely") is None


async def test_the_passwords_of_one_address_cost_one_hash(
    services: Services, accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    await register(accounts, dataset_ref, "the stranger's own", "a password of Vera")
    await accounts.register(dataset_ref, form("a password of Ann", "ann@acme.example"))
    rows = await services.database.fetch("SELECT username, password_hash FROM account")
    salts: dict[str, set[str]] = {}
    for row in rows:
        salts.setdefault(row["username"], set()).add(row["password_hash"].rpartition("$")[0])
    assert [len(of_address) for of_address in salts.values()] == [1, 1]
    assert salts[EMAIL].isdisjoint(salts["ann@acme.example"])


async def test_a_password_from_before_signs_in_beside_new_ones(
    services: Services, accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    """Passwords of earlier versions have salts of their own."""
    before, after = await register(accounts, dataset_ref, "will be replaced by", "a password of Vera")
    hashed = await accounts._hasher.hash("from an earlier version")
    await services.database.execute(
        "UPDATE account SET password_hash = $2 WHERE user_id = $1", before.user_id, hashed
    )
    assert await accounts.authenticate(dataset_ref, EMAIL, "from an earlier version") == before
    assert await accounts.authenticate(dataset_ref, EMAIL, "a password of Vera") == after


async def test_whoever_verifies_the_address_signs_in_with_it(
    services: Services, accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    stranger, vera = await register(accounts, dataset_ref, "the stranger's own", "a password of Vera")
    await _verify(services, dataset_ref, vera)
    assert await accounts.authenticate(dataset_ref, EMAIL, "the stranger's own") is None
    assert (await accounts.find_by_name(dataset_ref, EMAIL)).user_id == vera.user_id
    (late,) = await register(accounts, dataset_ref, "one more of a stranger")
    assert await accounts.authenticate(dataset_ref, EMAIL, "one more of a stranger") is None
    with pytest.raises(Conflict, match="verified this e-mail address already"):
        await accounts.create(dataset_ref, form("of an administrator"))

    await _verify(services, dataset_ref, late)
    found = [await accounts.find(dataset_ref, item.user_id) for item in (stranger, vera, late)]
    assert [item is not None and "emailaddress" in item.verified for item in found] == [False, False, True]


async def test_of_many_who_verify_an_address_at_once_one_has_it(
    services: Services, accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    several = await register(accounts, dataset_ref, *(f"password number {n}" for n in range(6)))
    await asyncio.gather(*(_verify(services, dataset_ref, account) for account in several))
    found = [await accounts.find(dataset_ref, account.user_id) for account in several]
    assert sum(item is not None and "emailaddress" in item.verified for item in found) == 1


async def test_an_address_of_several_names_nobody(accounts: Accounts, dataset_ref: DatasetRef) -> None:
    several = await register(accounts, dataset_ref, "the stranger's own", "a password of Vera")
    with pytest.raises(Conflict, match="2 users have the address") as caught:
        await accounts.find_by_name(dataset_ref, EMAIL)
    message = caught.value.description
    assert [str(item.user_id) in message for item in several] == [True, True], message
    for account in several:
        assert await accounts.find_by_name(dataset_ref, str(account.user_id)) == account


async def test_a_list_has_each_account_once(accounts: Accounts, dataset_ref: DatasetRef) -> None:
    several = await register(accounts, dataset_ref, *(f"password number {n}" for n in range(3)))
    found: list[Account] = []
    while page := await accounts.list(
        dataset_ref, found[-1].username if found else "", 2, after_id=found[-1].user_id if found else None
    ):
        found += page
    assert sorted(item.user_id for item in found) == sorted(item.user_id for item in several)


async def test_an_account_that_nobody_proved_or_uses_expires_and_erases_nothing(
    services: Services, accounts: Accounts, dataset_ref: DatasetRef
) -> None:
    unused, used, proven = await register(accounts, dataset_ref, *(f"password number {n}" for n in range(3)))
    await _verify(services, dataset_ref, proven)
    await services.directory.sign_ins.record_sign_in(dataset_ref, None, unused)
    long_ago = "UPDATE account SET used_at = now() - make_interval(days => 181)"
    await services.database.execute(long_ago)
    await services.directory.sign_ins.create_session(dataset_ref, used)
    await services.directory.expired_rows.sweep()
    found = [await accounts.find(dataset_ref, item.user_id) for item in (unused, used, proven)]
    assert [item is not None for item in found] == [False, True, True]
    assert await services.profiles.profiles.find_own(dataset_ref, str(unused.user_id))


async def _verify(services: Services, dataset_ref: DatasetRef, account: Account) -> None:
    verified = {"emailaddress": True}
    await services.directory.users.change(dataset_ref, ADMIN, account.user_id, {}, verified)
