"""The pages of a verification link: whose account it is, the password that proves the address, and “not me”.

    GET  accounts/verify?link=…            says what the link is for, and changes nothing
    POST accounts/verify?link=…            with the password of the account: the address is verified
    POST accounts/verify/withdraw?link=…   takes the address from the account
    POST accounts/verify/send              sends another link to whoever is signed in

Invariants: a GET proves nothing, because programs that scan mail open every link. Source:
docs/concepts/trust.md, "Verified addresses".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.response import Redirect

from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import asker_of, problem_page, secret_of
from oneself.auth.provider.mail_texts import LINK_PARAMETER, VERIFY_PATH, day_and_time
from oneself.auth.provider.outbox_page import outbox_link
from oneself.auth.provider.page_context import (
    FORM_EXPIRED,
    AnyResponse,
    PageContext,
    field,
    form_page,
    page_context,
    retry_sentence,
    submitted_form,
)
from oneself.auth.provider.pages import message, name_of
from oneself.auth.provider.proof_first import go_on, needs_proof
from oneself.service.directory.accounts import ADDRESS_CLAIM, Account, username_key
from oneself.service.directory.address_proofs import VerificationLink
from oneself.service.directory.throttle import Subject
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, sender_of

WITHDRAW_PATH, SEND_PATH = f"{VERIFY_PATH}/withdraw", f"{VERIFY_PATH}/send"
PASSWORD_WRONG = "This is not the password of this account."  # noqa: S105


@get(f"/t/{{org:str}}/{VERIFY_PATH}", include_in_schema=False)
async def verify_page(request: AnyRequest) -> AnyResponse:
    """Show what a link is for."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    link = await directory_of(request).address_proofs.find(context.dataset_ref, secret_of(context))
    return _proof_page(context, link) if isinstance(link, VerificationLink) else problem_page(context, link)


@post(f"/t/{{org:str}}/{VERIFY_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def verify(request: AnyRequest) -> AnyResponse:
    """Verify the address of a link, for whoever has the password of its account."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    proofs, throttle = directory_of(request).address_proofs, directory_of(request).throttle
    form, secret = await submitted_form(context), secret_of(context)
    link = await proofs.find(context.dataset_ref, secret)
    if not isinstance(link, VerificationLink):
        return problem_page(context, link)
    if form is None:
        return _proof_page(context, link, {"form": FORM_EXPIRED}, status=403)
    subjects = _subjects(request, link.account)
    if wait_s := await throttle.retry_after_s(context.dataset_ref, *subjects):
        return _proof_page(context, link, {"form": retry_sentence(wait_s)}, status=429, wait_s=wait_s)
    is_first = await needs_proof(context, link.account)
    proved = await proofs.confirm(
        context.dataset_ref, secret, field(form, "password"), begins_profile=not is_first
    )
    if proved is None:
        await throttle.record(context.dataset_ref, *subjects)
        return _proof_page(context, link, {"password": PASSWORD_WRONG}, status=401)
    if not isinstance(proved, Account):
        return problem_page(context, proved)
    return await go_on(context, proved) if is_first else _proved_page(context, proved)


@post(f"/t/{{org:str}}/{WITHDRAW_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def withdraw(request: AnyRequest) -> AnyResponse:
    """Take the address of a link from its account."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    proofs, secret = directory_of(request).address_proofs, secret_of(context)
    if await submitted_form(context) is None:
        link = await proofs.find(context.dataset_ref, secret)
        if isinstance(link, VerificationLink):
            return _proof_page(context, link, {"form": FORM_EXPIRED}, status=403)
    else:
        link = await proofs.withdraw(context.dataset_ref, secret)
    if not isinstance(link, VerificationLink):
        return problem_page(context, link)
    sentence = f"The account no longer has the address {link.address}. You need to do nothing else."
    return message(context.dataset_ref.handle, "Thank you", sentence)


@post(f"/t/{{org:str}}/{SEND_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def send_again(request: AnyRequest) -> AnyResponse:
    """Send another link to whoever is signed in."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    session, handle = context.page_request.session, context.dataset_ref.handle
    if session is None or await submitted_form(context) is None:
        return Redirect(f"{context.cookie_path}/accounts", status_code=303)
    account = session.account
    if ADDRESS_CLAIM in account.verified or ADDRESS_CLAIM not in account.claims:
        return Redirect(f"{context.cookie_path}/accounts", status_code=303)
    back = (f"{context.cookie_path}/accounts", "Back to your account")
    if wait_s := await ask_for_proof(context, account):
        sentence = retry_sentence(wait_s, "mails") + " Look into the folder for unwanted mail, too."
        headers = {"Retry-After": str(wait_s)}
        return message(handle, "Not sent yet", sentence, status=429, headers=headers, link=back)
    sentence = f"We sent a mail to {account.username}. It can take a few minutes."
    return message(
        handle, "Look into your mailbox", sentence, link=outbox_link(request, context.dataset_ref) or back
    )


ROUTES = (verify_page, verify, withdraw, send_again)


async def ask_for_proof(context: PageContext, account: Account) -> int:
    """Send a link to the address of an account. Seconds to wait if it got too many mails; 0: sent."""
    proofs = directory_of(context.request).address_proofs
    return await proofs.ask(context.dataset_ref, account, asker_of(context.request))


def _proof_page(
    context: PageContext,
    link: VerificationLink,
    problems: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    query = urlencode({LINK_PARAMETER: secret_of(context)})
    return form_page(
        context,
        "verify.html",
        status=status,
        headers={"Retry-After": str(wait_s)} if wait_s else None,
        problems=dict(problems or {}),
        address=link.address,
        name=name_of(link.account),
        browser=link.browser,
        asked_at=day_and_time(link.asked_at),
        action=f"{context.cookie_path}/{VERIFY_PATH}?{query}",
        withdrawal=f"{context.cookie_path}/{WITHDRAW_PATH}?{query}",
    )


def _proved_page(context: PageContext, account: Account) -> AnyResponse:
    sentence = f"{account.username} is yours: it signs in this account alone. You can close this page."
    link = f"{context.cookie_path}/accounts", "Go to your account"
    return message(context.dataset_ref.handle, "Your address is confirmed", sentence, link=link)


def _subjects(request: AnyRequest, account: Account) -> tuple[Subject, ...]:
    return ("account", username_key(account.username) or ""), ("address", sender_of(request))
