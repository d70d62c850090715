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

from litestar import Response, get, post
from litestar.response import Redirect

from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import (
    PASSWORD_WRONG,
    asker_of,
    link_page,
    link_url,
    problem_page,
    secret_of,
)
from oneself.auth.provider.mail_texts import VERIFY_PATH
from oneself.auth.provider.outbox_page import outbox_link
from oneself.auth.provider.page_context import (
    FORM_EXPIRED,
    AnyResponse,
    PageContext,
    field,
    page_context,
    retry_sentence,
    submitted_form,
)
from oneself.auth.provider.pages import message, name_of
from oneself.auth.provider.proof_first import go_on, needs_proof
from oneself.service.directory.accounts import ADDRESS_CLAIM, Account
from oneself.service.directory.address_proofs import VerificationLink
from oneself.service.directory.throttle import Subject
from oneself.service.directory.usernames import username_key
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, sender_of

WITHDRAW_PATH, SEND_PATH = f"{VERIFY_PATH}/withdraw", f"{VERIFY_PATH}/send"


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
    if wait_s := await throttle.acquire(context.dataset_ref, *subjects):
        return _proof_page(context, link, {"form": retry_sentence(wait_s)}, status=429, wait_s=wait_s)
    is_first = await needs_proof(context, link.account)
    proved = await proofs.confirm(
        context.dataset_ref, secret, field(form, "password"), begins_profile=not is_first
    )
    if proved is None:
        return _proof_page(context, link, {"password": PASSWORD_WRONG}, status=401)
    await throttle.give_back(context.dataset_ref, *subjects)
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
    proofs = directory_of(request).address_proofs
    is_asked = ADDRESS_CLAIM in account.claims and ADDRESS_CLAIM not in account.verified
    if not (is_asked and await proofs.is_accepted(context.dataset_ref)):
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
    withdrawal = link_url(context, WITHDRAW_PATH)
    return link_page(
        context, "verify.html", VERIFY_PATH, link, problems,
        status=status, wait_s=wait_s, name=name_of(link.account), withdrawal=withdrawal,
    )  # fmt: skip


def _proved_page(context: PageContext, account: Account) -> AnyResponse:
    sentence = f"{account.username} is yours: it signs in this account alone. You can close this page."
    link = f"{context.cookie_path}/accounts", "Go to your account"
    return message(context.dataset_ref.handle, "Your address is confirmed", sentence, link=link)


def _subjects(request: AnyRequest, account: Account) -> tuple[Subject, ...]:
    return ("account", username_key(account.username) or ""), ("address", sender_of(request))
