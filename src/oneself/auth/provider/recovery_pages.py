"""The pages for forgotten passwords: ask for a mail, then use its link.

    GET, POST accounts/recover              asks for an address; the answer is the same whoever has it
    GET, POST accounts/recover/link?link=…  a new password, or a new account if nobody has proved the address

Invariants: nothing tells whether an account exists. A GET changes nothing. Source:
docs/guides/anonymous-to-registered.md, "Forgotten passwords".
"""

from __future__ import annotations

from collections.abc import Mapping

from litestar import Response, get, post

from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import asker_of, link_page, problem_page, secret_of
from oneself.auth.provider.mail_texts import RECOVER_PATH, RECOVERY_LINK_PATH, day_and_time
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
from oneself.service.directory.account_links import LinkProblem
from oneself.service.directory.accounts import Account, InvalidRegistration, Registration
from oneself.service.directory.recovery import NEW_ACCOUNT, RecoveryLink
from oneself.service.directory.usernames import address_problem
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest

#: The choice of whoever has none of the accounts with the address.
NONE_OF_THEM = "none"
NAME_FIELDS = ("given_name", "last_name", "mobile")


@get(f"/t/{{org:str}}/{RECOVER_PATH}", include_in_schema=False)
async def recover_page(request: AnyRequest) -> AnyResponse:
    """Ask for the address of an account."""
    context = await page_context(request)
    return context if isinstance(context, Response) else _address_page(context)


@post(f"/t/{{org:str}}/{RECOVER_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def recover(request: AnyRequest) -> AnyResponse:
    """Send a link to an address, if an account has it."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    form = await submitted_form(context)
    address = field(form, "email").strip()
    if form is None:
        return _address_page(context, {"form": FORM_EXPIRED}, status=403)
    if problem := address_problem(address):
        return _address_page(context, {"email": problem}, address, status=400)
    wait_s = await directory_of(request).recoveries.ask(context.dataset_ref, address, asker_of(request))
    if wait_s:
        problems = {"form": retry_sentence(wait_s, "mails to this address or from your network")}
        return _address_page(context, problems, address, status=429, wait_s=wait_s)
    sentence = (
        f"If an account has the address {address}, a mail with a link is on its way. "
        "It can take a few minutes. The link works for an hour."
    )
    back = context.at("accounts/login"), "Back to the sign-in page"
    link = outbox_link(request, context.dataset_ref) or back
    return message(context.dataset_ref.handle, "Look into your mailbox", sentence, link=link)


@get(f"/t/{{org:str}}/{RECOVERY_LINK_PATH}", include_in_schema=False)
async def recovery_link_page(request: AnyRequest) -> AnyResponse:
    """Show what a link is for."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    link = await directory_of(request).recoveries.find(context.dataset_ref, secret_of(context))
    return _link_page(context, link) if isinstance(link, RecoveryLink) else problem_page(context, link)


@post(f"/t/{{org:str}}/{RECOVERY_LINK_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def use_link(request: AnyRequest) -> AnyResponse:
    """Replace the password, or create the new account."""
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    recoveries, secret = directory_of(request).recoveries, secret_of(context)
    link = await recoveries.find(context.dataset_ref, secret)
    if not isinstance(link, RecoveryLink):
        return problem_page(context, link)
    form = await submitted_form(context)
    values = {name: field(form, name) for name in NAME_FIELDS}
    visible = {**values, "account": field(form, "account")}
    if form is None:
        return _link_page(context, link, {"form": FORM_EXPIRED}, visible, status=403)
    password = field(form, "password")
    try:
        if link.purpose == NEW_ACCOUNT:
            registration = Registration(username=link.address, password=password, **values)
            outcome = await _choose(context, link, field(form, "account"), registration)
        else:
            asker = asker_of(request)
            outcome = await recoveries.set_password(context.dataset_ref, secret, password, asker)
    except InvalidRegistration as rejected:
        return _link_page(context, link, rejected.problems, visible, status=400)
    return problem_page(context, outcome) if isinstance(outcome, str) else _done_page(context, link)


async def _choose(
    context: PageContext, link: RecoveryLink, choice: str, registration: Registration
) -> Account | LinkProblem:
    """Hand over the chosen account, or create one. Raises InvalidRegistration."""
    recoveries, secret = directory_of(context.request).recoveries, secret_of(context)
    if choice == NONE_OF_THEM:
        return await recoveries.begin_anew(context.dataset_ref, secret, registration)
    chosen = next((item.user_id for item in link.accounts if str(item.user_id) == choice), None)
    if chosen is None:
        raise InvalidRegistration({"account": "Choose whether the account is yours."})
    return await recoveries.reclaim(context.dataset_ref, secret, chosen, registration)


ROUTES = (recover_page, recover, recovery_link_page, use_link)


def _address_page(
    context: PageContext,
    problems: Mapping[str, str] | None = None,
    address: str = "",
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    return form_page(
        context,
        "recover.html",
        problems,
        status=status,
        wait_s=wait_s,
        address=address or context.page_request.first("login_hint") or "",
        action=context.at(RECOVER_PATH),
        back=context.at("accounts/login"),
    )


def _link_page(
    context: PageContext,
    link: RecoveryLink,
    problems: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> AnyResponse:
    return link_page(
        context,
        "new_account.html" if link.purpose == NEW_ACCOUNT else "new_password.html",
        RECOVERY_LINK_PATH,
        link,
        problems,
        status=status,
        values=values or {},
        name=name_of(link.accounts[0]),
        accounts=[(str(item.user_id), day_and_time(item.created_at)) for item in link.accounts],
        none_of_them=NONE_OF_THEM,
        sign_in=f"{context.cookie_path}/accounts/login",
    )


def _done_page(context: PageContext, link: RecoveryLink) -> AnyResponse:
    heading = "Your account is ready" if link.purpose == NEW_ACCOUNT else "Your password is changed"
    ended = "" if link.purpose == NEW_ACCOUNT else "You are signed out everywhere else. "
    sentence = f"{ended}Sign in with {link.address} and your new password."
    sign_in = f"{context.cookie_path}/accounts/login", "Sign in"
    return message(context.dataset_ref.handle, heading, sentence, link=sign_in)
