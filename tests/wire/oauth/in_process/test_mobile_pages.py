"""Mobile numbers: the code, who can enter it, and what a proof ends.

Source: docs/guides/mobile-numbers.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from oneself.bootstrap import build_services, close_clients
from oneself.core.config.changes import PutSettings
from oneself.service.context import Actor, DatasetRef
from oneself.service.delivery.outbox import CodeMessage
from oneself.service.directory.accounts import Account
from oneself.service.directory.address_proofs import Asker
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.services import Services
from support.code_receiver import Behaviour, CodeReceiver
from support.tunables import FAST, tuned
from support.visitor import Application, Page, Visitor, claims_of, heading
from wire.oauth.in_process.test_recovery_pages import recovery_link

pytestmark = pytest.mark.postgres

EMAIL = "vera@acme.example"
TYPED, NUMBER = "+44 (0)7700 900-123", "+447700900123"
PAGE = "accounts/mobile/verify"
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}
ASKER = Asker("Firefox on Linux", "192.0.2.7")

NewVisitor = Callable[..., Visitor]
Receive = Callable[..., Any]


@pytest.fixture
def receive(services: Services, dataset_ref: DatasetRef) -> Iterator[Receive]:
    """Sets a webhook of the organisation, which behaves in a given way."""
    started: list[CodeReceiver] = []

    async def start(behaviour: Behaviour = "accepts") -> CodeReceiver:
        started.append(CodeReceiver(behaviour))
        await services.directory.code_webhooks.put(dataset_ref, started[-1].url)
        return started[-1]

    yield start
    for receiver in started:
        receiver.stop()


async def codes_of(services: Services, dataset_ref: DatasetRef) -> list[str]:
    """The codes in the development outbox, the newest first."""
    await services.directory.postman.deliver_due()
    letters = await services.directory.outbox.list_delivered(dataset_ref)
    return [letter.content.code for letter in letters if isinstance(letter.content, CodeMessage)]


async def ask(visitor: Visitor) -> httpx.Response:
    """Press the button that sends a code."""
    return await visitor.submit(await visitor.open(PAGE), to="mobile/send")


async def enter(visitor: Visitor, code: str) -> httpx.Response:
    """Enter a code."""
    return await visitor.submit(await visitor.open(PAGE), to="mobile/verify", code=code)


async def account(services: Services, dataset_ref: DatasetRef, email: str = EMAIL) -> Account:
    return await services.directory.accounts.find_by_name(dataset_ref, email)


async def prove(services: Services, dataset_ref: DatasetRef, visitor: Visitor) -> httpx.Response:
    await ask(visitor)
    return await enter(visitor, (await codes_of(services, dataset_ref))[0])


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_a_code_that_a_webhook_sends_proves_the_number(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, receive: Receive
) -> None:
    receiver = await receive()
    scope = "openid phone"
    registration = await shop.registration(scope=scope)
    tokens = await shop.tokens(await visitor.register(EMAIL, registration, mobile=TYPED))
    assert claims_of(tokens["id_token"])["phone_number_verified"] is False

    assert visitor.at(PAGE) in Page((await visitor.open("accounts")).text).links
    before = await visitor.open(PAGE)
    assert "Ann Archer" in before.text
    assert TYPED in before.text
    assert await services.directory.postman.deliver_due(("webhook",)) == 0, "opening the page sends nothing"
    visitor.http.headers["Accept-Language"] = "cy-GB, en;q=0.8"
    sent = await ask(visitor)
    assert (sent.status_code, sent.headers["location"]) == (303, visitor.at(PAGE))
    await services.directory.postman.deliver_due()
    (request,) = receiver.received
    document = request.document
    assert (document["mobile"], document["organisation"], document["locale"]) == (NUMBER, "acme", "cy-GB")
    assert document["purpose"] == "verify_mobile"

    page = Page((await visitor.open(PAGE)).text)
    code = page.fields["code"]
    assert (code["inputmode"], code["autocomplete"]) == ("numeric", "one-time-code")
    assert "autofocus" in code
    assert "code" in page.labels
    # People copy codes with blanks.
    proved = await enter(visitor, f" {document['code'][:3]} {document['code'][3:]}")
    assert (proved.status_code, heading(proved)) == (200, "Your mobile number is confirmed")
    assert visitor.at(PAGE) not in Page((await visitor.open("accounts")).text).links

    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    userinfo = (await visitor.http.get(visitor.at("oauth2/userinfo"), headers=headers)).json()
    assert (userinfo["phone_number"], userinfo["phone_number_verified"]) == (NUMBER, True)
    again = await shop.tokens(await visitor.open("oauth2/authorize", **shop.query(scope=scope)))
    assert claims_of(again["id_token"])["phone_number_verified"] is True


async def test_without_a_webhook_the_development_outbox_has_the_code(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    (code,) = await codes_of(services, dataset_ref)
    outbox = await visitor.open("accounts/outbox")
    assert f"Your code is {code}." in outbox.text
    assert NUMBER in outbox.text
    assert visitor.at("accounts/outbox") in Page((await visitor.open(PAGE)).text).links
    assert heading(await enter(visitor, code)) == "Your mobile number is confirmed"


async def test_where_no_code_can_be_sent_none_is_offered(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, receive: Receive
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    visitor.http.headers.update(ELSEWHERE)
    assert PAGE not in (await visitor.open("accounts")).text
    for path in (PAGE, "accounts/mobile/send", "accounts/mobile/withdraw"):
        assert (await visitor.http.post(visitor.at(path))).status_code == 404
    assert (await visitor.open(PAGE)).status_code == 404
    await receive()
    assert PAGE in (await visitor.open("accounts")).text
    assert "accounts/outbox" not in (await visitor.open(PAGE)).text
    await services.directory.code_webhooks.delete(dataset_ref)
    assert (await visitor.open(PAGE)).status_code == 404


async def test_an_organisation_that_accepts_no_codes_offers_none(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, receive: Receive
) -> None:
    await receive()
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    await services.setup.activation.change(dataset_ref, PutSettings(mobile_verified_by=("administrator",)))
    assert PAGE not in (await visitor.open("accounts")).text
    assert (await visitor.open(PAGE)).status_code == 404
    assert (await visitor.http.post(visitor.at(PAGE))).status_code == 404


async def test_the_pages_are_for_whoever_is_signed_in_and_has_a_number(
    dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    answer = await new_visitor().open(PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/t/acme/accounts/login")
    await visitor.register(EMAIL)
    answer = await visitor.open(PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/t/acme/accounts/mobile")
    assert PAGE not in (await visitor.open("accounts")).text


@pytest.mark.parametrize("mobile", ["020 7946 0018", "+1 2345", "+44 909 879 0000"])
async def test_a_number_that_no_code_can_be_sent_to_is_explained(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, mobile: str
) -> None:
    await visitor.register(EMAIL, mobile=mobile)
    page = await visitor.open(PAGE)
    assert "Write it with its country code" in page.text
    assert not [action for action in Page(page.text).actions if action.endswith("send")]
    csrf = Page(page.text).csrf
    answer = await visitor.http.post(visitor.at("accounts/mobile/send"), data={"csrf": csrf})
    assert answer.status_code == 400
    assert await codes_of(services, dataset_ref) == []


async def test_wrong_codes_end_a_code_and_another_one_works(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    (code,) = await codes_of(services, dataset_ref)
    for left in (4, 3, 2, 1):
        answer = await enter(visitor, wrong(code))
        field = Page(answer.text).fields["code"]
        assert answer.status_code == 400
        assert f"try {left} more time" in answer.text
        assert (field["aria-invalid"], field["value"]) == ("true", "")
        assert "autofocus" in field
    answer = await enter(visitor, wrong(code))
    assert answer.status_code == 410
    assert "Too many wrong codes" in answer.text
    form = Page(answer.text)
    late = await visitor.http.post(visitor.at(PAGE), data={"csrf": form.csrf, "code": code})
    assert late.status_code == 410
    assert "mobile" not in (await account(services, dataset_ref)).verified
    await visitor.submit(answer, to="mobile/send")
    assert heading(await enter(visitor, (await codes_of(services, dataset_ref))[0])).endswith("confirmed")


async def test_a_malformed_code_is_no_guess(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    (code,) = await codes_of(services, dataset_ref)
    for typed in ("", "12345", "1234567", "١٢٣٤٥٦", "12345x"):
        answer = await enter(visitor, typed)
        assert answer.status_code == 400
        assert Page(answer.text).fields["code"]["value"] == typed
    assert heading(await enter(visitor, code)) == "Your mobile number is confirmed"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("expires_at = now()", "This code expired"),
        ("used_at = now()", "This code was used already"),
        ("number = '+447700900999'", "No code was sent to this number"),
    ],
)
async def test_a_code_that_does_not_work_any_more_is_explained(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, state: str, words: str
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    (code,) = await codes_of(services, dataset_ref)
    page = await visitor.open(PAGE)
    await services.database.execute(f"UPDATE mobile_code SET {state}")
    answer = await visitor.submit(page, to="mobile/verify", code=code)
    assert answer.status_code == 410
    assert words in answer.text
    assert visitor.at("accounts/mobile/send") in Page(answer.text).actions
    assert "mobile" not in (await account(services, dataset_ref)).verified


async def test_another_code_ends_the_one_before(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, receive: Receive
) -> None:
    receiver = await receive("fails")
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    await services.directory.postman.deliver_due()
    receiver.behaviour = "accepts"
    await ask(visitor)
    await services.database.execute("UPDATE delivery SET due_at = now()")
    await services.directory.postman.deliver_due()
    first, second = receiver.codes
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 2
    if first != second:
        assert (await enter(visitor, first)).status_code == 400
    assert heading(await enter(visitor, second)) == "Your mobile number is confirmed"


async def test_a_code_is_tried_again_until_it_expires(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, receive: Receive
) -> None:
    receiver = await receive("fails_once")
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    postman = services.directory.postman
    await postman.deliver_due()
    assert await postman.count_waiting("webhook") == 1
    assert await services.database.fetchval("SELECT failure FROM delivery WHERE channel = 'webhook'")
    assert await postman.deliver_due(("webhook",)) == 0, "not due yet"
    await services.database.execute("UPDATE delivery SET due_at = now()")
    # Another process takes over what this one has not sent.
    restarted = build_services(services.settings, services.database, tunables=FAST)
    await restarted.directory.postman.deliver_due()
    await close_clients(restarted)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.document["code"] == second.document["code"]
    left = "SELECT count(*) FROM delivery WHERE channel = 'webhook'"
    assert await services.database.fetchval(left) == 0
    receiver.behaviour = "fails"
    await ask(visitor)
    await services.database.execute("UPDATE delivery SET expires_at = now()")
    assert await postman.deliver_due() == 0
    assert await postman.count_waiting("webhook") == 0


async def test_codes_and_secrets_are_stored_unreadably(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, receive: Receive
) -> None:
    receiver = await receive("fails")
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    await services.directory.postman.deliver_due()
    (code,) = receiver.codes
    webhook = await services.directory.code_webhooks.find(dataset_ref.org_id)
    assert webhook is not None
    for table in ("delivery", "mobile_code", "code_webhook"):
        rows = await services.database.fetch(
            f"SELECT encode(convert_to(t::text, 'UTF8'), 'escape') FROM {table} t"
        )
        assert rows
        for (text,) in rows:
            assert f'"{code}"' not in text
            assert webhook.secret not in text
    digests = await services.database.fetchval("SELECT code_digest FROM mobile_code")
    assert len(digests) == 32


async def test_this_is_not_my_number_takes_it_from_the_account(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    answer = await visitor.submit(await visitor.open(PAGE), to="mobile/withdraw")
    assert heading(answer) == "Your mobile number is removed"
    assert "mobile" not in (await account(services, dataset_ref)).claims
    assert await codes_of(services, dataset_ref) == [], "the code is not sent any more"


async def test_a_form_of_another_browser_is_rejected(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    (code,) = await codes_of(services, dataset_ref)
    other = new_visitor()
    await other.register("ben@acme.example", mobile="+44 7700 900999")
    csrf = Page((await other.open(PAGE)).text).csrf
    for path in (PAGE, "accounts/mobile/send", "accounts/mobile/withdraw"):
        answer = await visitor.http.post(visitor.at(path), data={"csrf": csrf, "code": code})
        assert answer.status_code == 403
    known = await account(services, dataset_ref)
    assert (known.claims["mobile"], known.verified) == (TYPED, {})
    assert len(await codes_of(services, dataset_ref)) == 1
    # The code of one account proves nothing of another one.
    late = await other.http.post(other.at(PAGE), data={"csrf": csrf, "code": code})
    assert "No code was sent to this number" in late.text


async def test_a_number_that_changes_is_unverified_until_it_is_proved(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    page = await visitor.open(PAGE)
    (early,) = await codes_of(services, dataset_ref)
    new = "+44 7700 900999"
    form = await visitor.open("accounts/mobile")
    changed = await visitor.submit(form, mobile=new, password="a long enough password")
    assert visitor.at(PAGE) in Page(changed.text).links
    assert (await visitor.submit(page, to="mobile/verify", code=early)).status_code == 410
    assert heading(await prove(services, dataset_ref, visitor)) == "Your mobile number is confirmed"
    form = await visitor.open("accounts/mobile")
    await visitor.submit(form, mobile=TYPED, password="a long enough password")
    assert (await account(services, dataset_ref)).verified == {}


async def test_a_proof_ends_the_right_of_others_to_the_number(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    ben = new_visitor()
    await ben.register("ben@acme.example", mobile=NUMBER)
    # Verified by an administrator, in another spelling.
    bens = await account(services, dataset_ref, "ben@acme.example")
    await services.directory.users.change(
        dataset_ref, Actor("admin"), bens.user_id, {"mobile": "+44 7700 900 123"}, {"mobile": True}
    )
    dora = new_visitor()
    await dora.register("dora@acme.example", mobile=TYPED)
    await ask(dora)
    (doras_code,) = await codes_of(services, dataset_ref)
    await visitor.register(EMAIL, mobile=TYPED)
    await prove(services, dataset_ref, visitor)
    assert "mobile" in (await account(services, dataset_ref)).verified
    assert (await account(services, dataset_ref, "ben@acme.example")).verified == {}
    page = await dora.open("accounts/mobile/verify")
    csrf = Page(page.text).csrf
    late = await dora.http.post(dora.at(PAGE), data={"csrf": csrf, "code": doras_code})
    assert "This code was used already" in late.text
    # Whoever has the number now can prove it: numbers are given to other people.
    assert heading(await prove(services, dataset_ref, dora)) == "Your mobile number is confirmed"
    assert (await account(services, dataset_ref)).verified == {}


async def test_a_record_with_the_proved_number_is_hers(
    services: Services, dataset_ref: DatasetRef, shop: Application, system: Application, visitor: Visitor
) -> None:
    token = (await system.token(grant_type="client_credentials", scope=" ".join(
        ("internal_cds_profile_create", "internal_cds_unification_rule_create", "internal_cds_profile_view")
    ))).json()["access_token"]  # fmt: skip

    async def create(path: str, document: dict[str, Any]) -> dict[str, Any]:
        url, headers = visitor.at(f"cds/api/v1/{path}"), {"Authorization": f"Bearer {token}"}
        answer = await visitor.http.post(url, json=document, headers=headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    path = "identity_attributes.mobile"
    await create(
        "unification-rules", {"rule_name": "mobile", "property_name": path, "priority": 1, "is_active": True}
    )
    record = await create("profiles?tracker=false", {"identity_attributes": {"mobile": NUMBER}})
    registration = await shop.registration()
    tokens = await shop.tokens(await visitor.register(EMAIL, registration, mobile=TYPED))

    async def record_is_hers() -> bool:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        me = (await visitor.http.get(visitor.at("cds/api/v1/profiles/Me"), headers=headers)).json()
        merged = [entry["profile_id"] for entry in me.get("merged_from", [])]
        return record["profile_id"] in (me["profile_id"], *merged)

    assert not await record_is_hers()
    await prove(services, dataset_ref, visitor)
    assert await record_is_hers()


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(code_account=AttemptLimit(2, 3600)))])
async def test_an_account_gets_few_codes(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    for _ in range(2):
        assert (await ask(visitor)).status_code == 303
    refused = await ask(visitor)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Too many codes" in refused.text


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(code_number=AttemptLimit(3, 3600)))])
async def test_a_number_gets_few_codes_whoever_asks_and_strangers_lock_nobody_out(
    services: Services, dataset_ref: DatasetRef, new_visitor: NewVisitor
) -> None:
    for number in range(5):
        stranger = new_visitor()
        # However they write it.
        await stranger.register(f"{number}@evil.example", mobile=(NUMBER, TYPED)[number % 2])
    accounts = await services.directory.accounts.list(dataset_ref)
    proofs = services.directory.mobile_proofs

    async def asked(known: Account) -> int:
        return await proofs.ask(dataset_ref, known, ASKER)

    assert [bool(await asked(known)) for known in accounts] == [False, False, False, True, True]
    # Somebody who has proved the address of the account is not kept out by these.
    vera = new_visitor()
    await vera.register(EMAIL, mobile=TYPED)
    hers = await account(services, dataset_ref)
    hers = await services.directory.users.change(
        dataset_ref, Actor("admin"), hers.user_id, {}, {"emailaddress": True}
    )
    assert await asked(hers) == 0


async def test_guesses_that_arrive_together_are_counted(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    (code,) = await codes_of(services, dataset_ref)
    known, proofs = await account(services, dataset_ref), services.directory.mobile_proofs
    guesses = [wrong(code)] * 20
    answers = await asyncio.gather(*(proofs.confirm(dataset_ref, known, guess) for guess in guesses))
    assert sorted(str(answer) for answer in answers) == ["spent"] * 16 + ["wrong"] * 4
    assert await proofs.confirm(dataset_ref, known, code) == "spent"


async def test_of_two_who_prove_a_number_at_once_one_has_it(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    ben = new_visitor()
    await ben.register("ben@acme.example", mobile=NUMBER)
    await visitor.register(EMAIL, mobile=TYPED)
    codes = []
    for person in (ben, visitor):
        await ask(person)
        codes.append((await codes_of(services, dataset_ref))[0])
    both = [await account(services, dataset_ref, email) for email in ("ben@acme.example", EMAIL)]
    proofs = services.directory.mobile_proofs
    await asyncio.gather(*(proofs.confirm(dataset_ref, *pair) for pair in zip(both, codes, strict=True)))
    verified = [await account(services, dataset_ref, email) for email in ("ben@acme.example", EMAIL)]
    assert sorted("mobile" in each.verified for each in verified) == [False, True]


async def test_an_account_that_is_handed_over_has_no_proved_number(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """Also if its new owner writes the same number: who proved it was somebody else."""
    stranger = new_visitor()
    await stranger.register(EMAIL, mobile=NUMBER)
    await prove(services, dataset_ref, stranger)
    strangers = await account(services, dataset_ref)
    assert "mobile" in strangers.verified
    person = {"given_name": "Vera", "last_name": "Archer", "password": "another long password"}
    page = await visitor.http.get(await recovery_link(services, dataset_ref, visitor))
    done = await visitor.submit(page, account=str(strangers.user_id), mobile=NUMBER, **person)
    assert heading(done) == "Your account is ready"
    hers = await account(services, dataset_ref)
    assert (hers.user_id, hers.claims["mobile"]) == (strangers.user_id, NUMBER)
    assert list(hers.verified) == ["emailaddress"]


async def test_expired_codes_are_deleted_a_day_later(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile=TYPED)
    await ask(visitor)
    count = "SELECT count(*) FROM mobile_code"
    for age, left in (("23 hours", 1), ("25 hours", 0)):
        await services.database.execute(f"UPDATE mobile_code SET expires_at = now() - interval '{age}'")
        await services.directory.expired_rows.sweep()
        assert await services.database.fetchval(count) == left
