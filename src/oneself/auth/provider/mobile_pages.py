"""The page where somebody who is signed in proves the mobile number of the account by a code.

    GET  accounts/mobile/verify     names account and number; sends nothing and proves nothing
    POST accounts/mobile/verify     with the code: the number is verified
    POST accounts/mobile/send       sends a code, or another one
    POST accounts/mobile/withdraw   takes the number from the account (“this is not my number”)

Invariants: the pages exist where the organisation has a webhook that sends codes, or where the development
outbox shows them. Wrong codes are limited by the code, and by the account whose session enters them, so that
nobody uses up the attempts of somebody else. Source: docs/guides/mobile-numbers.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from litestar import Response, get, post
from litestar.response import Redirect

from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import asker_of
from oneself.auth.provider.mail_texts import day_and_time
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
from oneself.errors import InvalidInput
from oneself.service.directory.accounts import MOBILE_CLAIM, Account
from oneself.service.directory.mobile_proofs import (
    CODE_DIGITS,
    CodeProblem,
    SentCode,
    number_of,
)
from oneself.service.directory.throttle import Subject
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, sender_of

VERIFY_MOBILE_PATH = "accounts/mobile/verify"
SEND_CODE_PATH, WITHDRAW_MOBILE_PATH = "accounts/mobile/send", "accounts/mobile/withdraw"
MALFORMED = f"Enter the {CODE_DIGITS} digits of the code."
#: Why a code does not work, and what to do.
_PROBLEMS: Mapping[CodeProblem, str] = {
    "none": "No code was sent to this number yet. Send one.",
    "spent": "Too many wrong codes were entered, so this code does not work any more. Send another one.",
    "used": "This code was used already, or another account has confirmed the number. Send another one.",
    "expired": "This code expired. Send another one.",
    "moved": "The account has another number by now. Send a code to that one.",
}
#: Between digits, people and keyboards put these.
_SEPARATORS = re.compile(r"[\s-]")
_CODE = re.compile(rf"[0-9]{{{CODE_DIGITS}}}")
#: The first language of the header (RFC 9110 §12.5.4).
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:[,;]|$)")


@get(f"/t/{{org:str}}/{VERIFY_MOBILE_PATH}", include_in_schema=False)
async def verify_mobile_page(request: AnyRequest) -> AnyResponse:
    """Show the number, and where the code is entered once one was sent."""
    context = await _context_of_unproven(request)
    return context if isinstance(context, Response) else await _page(context)


@post(f"/t/{{org:str}}/{VERIFY_MOBILE_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def verify_mobile(request: AnyRequest) -> AnyResponse:
    """Verify the number by a code."""
    submission = await _submission(request)
    if isinstance(submission, Response):
        return submission
    context, form = submission
    typed = field(form, "code")
    code = _SEPARATORS.sub("", typed)
    if not _CODE.fullmatch(code):
        return await _page(context, {"code": MALFORMED}, status=400, typed=typed)
    account, directory = _account_of(context), directory_of(request)
    subjects: tuple[Subject, ...] = ("account", f"code {account.user_id}"), ("address", sender_of(request))
    if wait_s := await directory.throttle.acquire(context.dataset_ref, *subjects):
        problems = {"form": retry_sentence(wait_s)}
        return await _page(context, problems, status=429, wait_s=wait_s)
    proved = await directory.mobile_proofs.confirm(context.dataset_ref, account, code)
    if proved != "wrong":
        await directory.throttle.give_back(context.dataset_ref, *subjects)
    if isinstance(proved, Account):
        await directory.throttle.clear(context.dataset_ref, subjects[0])
        return _proved_page(context, proved)
    return await _problem_page(context, proved)


@post(f"/t/{{org:str}}/{SEND_CODE_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def send_code(request: AnyRequest) -> AnyResponse:
    """Send a code, or another one."""
    submission = await _submission(request)
    if isinstance(submission, Response):
        return submission
    context, _ = submission
    proofs, account = directory_of(request).mobile_proofs, _account_of(context)
    try:
        wait_s = await proofs.ask(context.dataset_ref, account, asker_of(request), _language(request))
    except InvalidInput as rejected:
        return await _page(context, {"form": rejected.description}, status=400)
    if wait_s:
        return await _page(context, {"form": retry_sentence(wait_s, "codes")}, status=429, wait_s=wait_s)
    # Loading the page again must not send another one.
    return Redirect(f"{context.cookie_path}/{VERIFY_MOBILE_PATH}", status_code=303)


@post(f"/t/{{org:str}}/{WITHDRAW_MOBILE_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def withdraw_mobile(request: AnyRequest) -> AnyResponse:
    """Take the number from the account."""
    submission = await _submission(request)
    if isinstance(submission, Response):
        return submission
    context, _ = submission
    account = _account_of(context)
    await directory_of(request).mobile_proofs.withdraw(context.dataset_ref, account)
    sentence = f"Your account no longer has the number {account.claims[MOBILE_CLAIM]}."
    link = f"{context.cookie_path}/accounts/mobile", "Add a mobile number"
    return message(context.dataset_ref.handle, "Your mobile number is removed", sentence, link=link)


ROUTES = (verify_mobile_page, verify_mobile, send_code, withdraw_mobile)


async def proof_link(context: PageContext, account: Account) -> tuple[str, str] | None:
    """The URL and the text of a link to the page, if the account has a number to prove there."""
    if MOBILE_CLAIM not in account.claims or MOBILE_CLAIM in account.verified:
        return None
    if not await _is_offered(context):
        return None
    return f"{context.cookie_path}/{VERIFY_MOBILE_PATH}", "Confirm your mobile number"


async def _is_offered(context: PageContext) -> bool:
    """Whether codes count, and reach people: by a webhook, or in the development outbox."""
    if not await directory_of(context.request).mobile_proofs.is_accepted(context.dataset_ref):
        return False
    if outbox_link(context.request, context.dataset_ref) is not None:
        return True
    return await _has_webhook(context)


async def _context_of_unproven(request: AnyRequest) -> PageContext | AnyResponse:
    """The request of somebody who is signed in and has a number to prove; another page if there is none."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    handle, back = context.dataset_ref.handle, (f"{context.cookie_path}/accounts", "Back to your account")
    session = context.page_request.session
    if session is None:
        return Redirect(f"{context.cookie_path}/accounts/login", status_code=303)
    if not await _is_offered(context):
        sentence = "This organisation does not confirm mobile numbers here."
        return message(handle, "There is nothing to confirm", sentence, status=404, link=back)
    if MOBILE_CLAIM not in session.account.claims:
        return Redirect(f"{context.cookie_path}/accounts/mobile", status_code=303)
    if MOBILE_CLAIM in session.account.verified:
        return _proved_page(context, session.account)
    return context


async def _submission(request: AnyRequest) -> tuple[PageContext, Mapping[str, list[str]]] | AnyResponse:
    """The same, with the form that was sent; a page if it expired."""
    context = await _context_of_unproven(request)
    if isinstance(context, Response):
        return context
    form = await submitted_form(context)
    return (context, form) if form is not None else await _page(context, {"form": FORM_EXPIRED}, status=403)


def _account_of(context: PageContext) -> Account:
    assert context.page_request.session is not None, "_context_of_unproven looked"
    return context.page_request.session.account


async def _problem_page(context: PageContext, problem: CodeProblem) -> AnyResponse:
    """The page again, because a code does not work."""
    if problem != "wrong":
        return await _page(context, {"form": _PROBLEMS[problem]}, status=410)
    sent = await directory_of(context.request).mobile_proofs.find(context.dataset_ref, _account_of(context))
    left = sent.attempts_left if sent else 0
    more = f"You can try {left} more time{'' if left == 1 else 's'}."
    return await _page(context, {"code": f"This is not the code that we sent. {more}"}, status=400)


async def _page(
    context: PageContext,
    problems: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wait_s: int = 0,
    typed: str = "",
) -> AnyResponse:
    account = _account_of(context)
    sent = await directory_of(context.request).mobile_proofs.find(context.dataset_ref, account)
    return form_page(
        context,
        "verify_mobile.html",
        problems,
        status=status,
        wait_s=wait_s,
        name=name_of(account),
        number=account.claims[MOBILE_CLAIM],
        can_be_sent=number_of(account) is not None,
        sent=_sent(sent) if sent and sent.problem is None else None,
        typed=typed[:20],
        outbox=None if await _has_webhook(context) else outbox_link(context.request, context.dataset_ref),
        action=f"{context.cookie_path}/{VERIFY_MOBILE_PATH}",
        sending=f"{context.cookie_path}/{SEND_CODE_PATH}",
        withdrawal=f"{context.cookie_path}/{WITHDRAW_MOBILE_PATH}",
        change=f"{context.cookie_path}/accounts/mobile",
        back=f"{context.cookie_path}/accounts",
    )


async def _has_webhook(context: PageContext) -> bool:
    return await directory_of(context.request).code_webhooks.exists(context.dataset_ref)


def _sent(code: SentCode) -> dict[str, str]:
    return {"at": day_and_time(code.asked_at), "until": day_and_time(code.expires_at)}


def _proved_page(context: PageContext, account: Account) -> AnyResponse:
    sentence = f"{account.claims[MOBILE_CLAIM]} is yours."
    link = f"{context.cookie_path}/accounts", "Go to your account"
    return message(context.dataset_ref.handle, "Your mobile number is confirmed", sentence, link=link)


def _language(request: AnyRequest) -> str:
    """The language that the browser asks for first; empty if it asks for none."""
    found = _LANGUAGE.match(request.headers.get("accept-language", "")[:200])
    return found[1] if found else ""
