"""The pages of links about a changed e-mail address: to confirm the new one, and to take the change back.

    GET  accounts/email/confirm?link=…   says what the link is for, and changes nothing
    POST accounts/email/confirm?link=…   with the password of the account: it has the new address
    POST accounts/email/cancel?link=…    ends the link (“this was not me”)
    GET  accounts/email/return?link=…    says what was changed, and changes nothing
    POST accounts/email/return?link=…    with a new password: the account has its former address again

Invariants: a GET changes nothing. Wrong passwords are counted by the link, so that strangers who guess the
password of the account keep nobody from using it. Source:
docs/decisions/0036-a-changed-address-can-be-taken-back.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from litestar import Response, get, post
from litestar.datastructures import Cookie

from oneself.auth.provider.change_texts import CONFIRM_PATH, RETURN_PATH
from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import PASSWORD_WRONG, link_page, link_url, problem_page, secret_of
from oneself.auth.provider.mail_texts import day_and_time
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
from oneself.auth.provider.signing_in import begin_session
from oneself.errors import InvalidInput
from oneself.service.directory.account_links import LinkProblem
from oneself.service.directory.accounts import Account
from oneself.service.directory.address_changes import ChangeLink
from oneself.service.directory.throttle import Subject
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, sender_of
from oneself.web.sessions import with_cookies

CANCEL_PATH = "accounts/email/cancel"
#: Why a change cannot be taken back: heading and sentence.
_RETURN_PROBLEMS: Mapping[LinkProblem, tuple[str, str]] = {
    "used": (
        "This link was used already",
        "The change was taken back, by this link or an earlier one, and the account got a new password. "
        "Sign in with the former address.",
    ),
    "expired": (
        "This link expired",
        "The change was more than a day ago, so it cannot be taken back here any more. "
        "If it was not you, contact the organisation.",
    ),
}


@get(f"/t/{{org:str}}/{CONFIRM_PATH}", include_in_schema=False)
async def confirm_page(request: AnyRequest) -> AnyResponse:
    """Show what a link to a new address is for."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    link = await directory_of(request).address_changes.find(context.dataset_ref, secret_of(context))
    return _confirm_page(context, link) if isinstance(link, ChangeLink) else problem_page(context, link)


@post(f"/t/{{org:str}}/{CONFIRM_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def confirm(request: AnyRequest) -> AnyResponse:
    """Give an account the address of a link, for whoever has its password."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    changes, throttle = directory_of(request).address_changes, directory_of(request).throttle
    form, secret = await submitted_form(context), secret_of(context)
    link = await changes.find(context.dataset_ref, secret)
    if not isinstance(link, ChangeLink):
        return problem_page(context, link)
    if form is None:
        return _confirm_page(context, link, {"form": FORM_EXPIRED}, status=403)
    subjects = _subjects(context)
    if wait_s := await throttle.acquire(context.dataset_ref, *subjects):
        return _confirm_page(context, link, {"form": retry_sentence(wait_s)}, status=429, wait_s=wait_s)
    changed = await changes.confirm(context.dataset_ref, secret, field(form, "password"))
    if changed is None:
        return _confirm_page(context, link, {"password": PASSWORD_WRONG}, status=401)
    await throttle.give_back(context.dataset_ref, *subjects)
    return (
        await _changed_page(context, changed)
        if isinstance(changed, Account)
        else problem_page(context, changed)
    )


@post(f"/t/{{org:str}}/{CANCEL_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def cancel(request: AnyRequest) -> AnyResponse:
    """End a link to a new address."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    changes, secret = directory_of(request).address_changes, secret_of(context)
    if await submitted_form(context) is None:
        link = await changes.find(context.dataset_ref, secret)
        if isinstance(link, ChangeLink):
            return _confirm_page(context, link, {"form": FORM_EXPIRED}, status=403)
    else:
        link = await changes.cancel(context.dataset_ref, secret)
    if not isinstance(link, ChangeLink):
        return problem_page(context, link)
    sentence = f"The account does not get the address {link.address}. You need to do nothing else."
    return message(context.dataset_ref.handle, "Thank you", sentence)


@get(f"/t/{{org:str}}/{RETURN_PATH}", include_in_schema=False)
async def return_page(request: AnyRequest) -> AnyResponse:
    """Show what a link to take a change back is for."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    link = await directory_of(request).address_changes.find_return(context.dataset_ref, secret_of(context))
    if not isinstance(link, ChangeLink):
        return _return_problem_page(context, link)
    return _return_page(context, link)


@post(f"/t/{{org:str}}/{RETURN_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def take_back(request: AnyRequest) -> AnyResponse:
    """Give an account its former address and a new password."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    changes, throttle = directory_of(request).address_changes, directory_of(request).throttle
    form, secret = await submitted_form(context), secret_of(context)
    link = await changes.find_return(context.dataset_ref, secret)
    if not isinstance(link, ChangeLink):
        return _return_problem_page(context, link)
    if form is None:
        return _return_page(context, link, {"form": FORM_EXPIRED}, status=403)
    subjects = _subjects(context)
    if wait_s := await throttle.acquire(context.dataset_ref, *subjects):
        return _return_page(context, link, {"form": retry_sentence(wait_s)}, status=429, wait_s=wait_s)
    try:
        changed = await changes.take_back(context.dataset_ref, secret, field(form, "password"))
    except InvalidInput as rejected:
        # This stays counted: one of its sentences tells whether it is the password of the account.
        return _return_page(context, link, {"password": rejected.description}, status=400)
    await throttle.give_back(context.dataset_ref, *subjects)
    if not isinstance(changed, Account):
        return _return_problem_page(context, changed)
    sentence = (
        f"Your account has the address {changed.username} again, and the new password. Every browser and "
        "application is signed out. Sign in, and look whether something else was changed."
    )
    login = f"{context.cookie_path}/accounts/login", "Sign in"
    return message(context.dataset_ref.handle, "The change is taken back", sentence, link=login)


ROUTES = (confirm_page, confirm, cancel, return_page, take_back)


async def _changed_page(context: PageContext, account: Account) -> AnyResponse:
    """The page after a change. The browser stays signed in if it was signed in to this account."""
    session = context.page_request.session
    cookies: list[Cookie] = []
    if session is not None and session.account.user_id == account.user_id:
        _, cookies = await begin_session(context, account)
    sentence = (
        f"{account.username} is confirmed, and you sign in with it from now on. "
        "Every other browser and application is signed out."
    )
    link = f"{context.cookie_path}/accounts", "Go to your account"
    page = message(context.dataset_ref.handle, "Your e-mail address is changed", sentence, link=link)
    return with_cookies(page, *cookies)


def _confirm_page(
    context: PageContext,
    link: ChangeLink,
    problems: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    return link_page(
        context, "confirm_email.html", CONFIRM_PATH, link, problems, status=status, wait_s=wait_s,
        name=name_of(link.account), cancellation=link_url(context, CANCEL_PATH),
    )  # fmt: skip


def _return_page(
    context: PageContext,
    link: ChangeLink,
    problems: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    return link_page(
        context, "return_email.html", RETURN_PATH, link, problems, status=status, wait_s=wait_s,
        name=name_of(link.account), expires_at=day_and_time(link.expires_at),
    )  # fmt: skip


def _return_problem_page(context: PageContext, problem: LinkProblem) -> AnyResponse:
    if problem not in _RETURN_PROBLEMS:
        return problem_page(context, problem)
    heading, sentence = _RETURN_PROBLEMS[problem]
    login = f"{context.cookie_path}/accounts/login", "Sign in"
    return message(context.dataset_ref.handle, heading, sentence, status=410, link=login)


def _subjects(context: PageContext) -> tuple[Subject, Subject]:
    return ("account", f"link {secret_of(context)}"), ("address", sender_of(context.request))
