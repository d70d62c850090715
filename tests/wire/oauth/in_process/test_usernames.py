"""What people type to sign in: an address in any of its forms, or the user id.

Source: docs/guides/anonymous-to-registered.md, "Verified addresses".
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oneself.service.context import DatasetRef
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.services import Services
from support.tunables import tuned
from support.visitor import PASSWORD, Page, Visitor, heading
from wire.oauth.in_process.test_address_pages import link_in, mails_of, newest_link, prove, withdraw

NewVisitor = Callable[..., Visitor]
#: One address each, as people write it.
WAYS = (
    ("vera@m\u00fcnchen.example", "vera@M\u00dcNCHEN.example", "vera@xn--mnchen-3ya.example"),
    ("vera@mu\u0308nchen.example", " VERA@xn--MNCHEN-3ya.Example "),
    ("vera@acme\u3002example", "vera@acme.example"),
)


@pytest.mark.parametrize("ways", WAYS)
async def test_every_way_to_write_an_address_signs_in_and_recovers(
    ways: tuple[str, ...], services: Services, dataset_ref: DatasetRef, new_visitor: NewVisitor
) -> None:
    for number, registered in enumerate(ways):
        password = f"{PASSWORD} {number}"
        await new_visitor().register(registered, password=password)
        for typed in ways:
            assert (await new_visitor().sign_in(typed, password)).status_code == 303, (registered, typed)
    for typed in ways:
        visitor = new_visitor()
        await visitor.submit(await visitor.open("accounts/recover"), email=typed)
        newest = (await mails_of(services, dataset_ref))[0]
        assert "forgot the password" in newest, typed
        assert heading(await visitor.http.get(link_in(newest))) == "Whose account is it?"


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(account=AttemptLimit(2, 900)))])
async def test_the_ways_to_write_an_address_share_the_count_of_guesses(new_visitor: NewVisitor) -> None:
    ways = WAYS[0]
    await new_visitor().register(ways[0])
    codes = [(await new_visitor().sign_in(typed, "a wrong password")).status_code for typed in ways]
    assert codes == [401, 401, 429]


async def test_whoever_lost_an_address_signs_in_with_the_user_id_of_the_account_page(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    loser, owner = visitor, new_visitor()
    await loser.register("vera@acme.example", password="the password of the loser")
    assert Page((await loser.open("accounts/login")).text).fields["email"]["type"] == "text"
    first = await services.directory.accounts.find_sole(dataset_ref, "vera@acme.example")
    assert first is not None
    assert str(first.user_id) in (await loser.open("accounts")).text
    await owner.register("vera@acme.example")
    await prove(owner, await newest_link(services, dataset_ref))
    assert str(first.user_id) not in (await owner.open("accounts")).text

    again = new_visitor()
    assert (await again.sign_in("vera@acme.example", "the password of the loser")).status_code == 401
    assert (await again.sign_in(str(first.user_id), "the password of the loser")).status_code == 303
    shown = await again.open("accounts")
    assert str(first.user_id) in shown.text
    # Nothing says that a mail was sent: a limit may have kept it back.
    assert "We sent" not in shown.text
    for typed in (f"{{{first.user_id}}}", first.user_id.hex, f"urn:uuid:{first.user_id}"):
        assert (await new_visitor().sign_in(typed, "the password of the loser")).status_code == 401


async def test_a_withdrawn_address_leaves_the_user_id(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register("vera@acme.example")
    account = await services.directory.accounts.find_sole(dataset_ref, "vera@acme.example")
    assert account is not None
    await withdraw(new_visitor(), await newest_link(services, dataset_ref))
    assert str(account.user_id) in (await visitor.open("accounts")).text
    assert (await new_visitor().sign_in(str(account.user_id).upper())).status_code == 303
