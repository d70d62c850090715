"""The pages where people change their own accounts: password, e-mail address, mobile number, deletion.

    GET, POST accounts/password   other sessions and all grants end; this browser stays signed in
    GET, POST accounts/email      sends a link to the new address (`address_change_pages`)
    GET, POST accounts/mobile     the new number is not verified (`mobile_pages`)
    GET, POST accounts/delete     erases what the user owns, and deletes the account

Invariants: each of them asks for the password, so that a browser that somebody left signed in changes
nothing. Wrong passwords are limited as those of sign-ins are, but counted apart: strangers who guess at the
sign-in keep nobody from these pages.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import asker_of
from oneself.auth.provider.mobile_pages import proof_link
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
from oneself.auth.provider.signing_in import begin_session
from oneself.errors import InvalidInput
from oneself.service.directory.accounts import ADDRESS_CLAIM, MOBILE_CLAIM, Account
from oneself.service.directory.throttle import Subject
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, sender_of
from oneself.web.sessions import session_cookie, with_cookies

PASSWORD_PATH, EMAIL_PATH = "accounts/password", "accounts/email"
MOBILE_PATH, DELETE_PATH = "accounts/mobile", "accounts/delete"
_TEMPLATES = {
    PASSWORD_PATH: "change_password.html",
    EMAIL_PATH: "change_email.html",
    MOBILE_PATH: "change_mobile.html",
    DELETE_PATH: "delete_account.html",
}
PASSWORD_WRONG = "This is not your password."  # noqa: S105


class Changing(msgspec.Struct, frozen=True):
    """A page of somebody who is signed in."""

    context: PageContext
    account: Account
    path: str

    @property
    def subjects(self) -> tuple[Subject, Subject]:
        """Whose wrong passwords are counted."""
        signed_in: Subject = ("account", f"signed in {self.account.user_id}")
        return signed_in, ("address", sender_of(self.context.request))


def _page_at(path: str) -> HTTPRouteHandler:
    @get(f"/t/{{org:str}}/{path}", include_in_schema=False, name=f"page:{path}")
    async def show(request: AnyRequest) -> AnyResponse:
        """Show a page, to whoever is signed in."""
        here = await _changing(request, path)
        return here if isinstance(here, Response) else _page(here, values=_values(here.account))

    return show


@post(f"/t/{{org:str}}/{PASSWORD_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def change_password(request: AnyRequest) -> AnyResponse:
    """Replace the password of whoever is signed in."""
    form = await _submitted(request, PASSWORD_PATH)
    if isinstance(form, Response):
        return form
    here, changes = form.here, directory_of(request).account_changes
    dataset_ref = here.context.dataset_ref
    try:
        changed = await changes.change_password(
            dataset_ref, here.account, form.password, field(form.fields, "new_password"), asker_of(request)
        )
    except InvalidInput as rejected:
        return await _refused(form, {"new_password": rejected.description})
    if changed is None:
        return _wrong_password(form)
    if isinstance(changed, int):
        return await _refused(form, {"form": retry_sentence(changed, "changes")}, wait_s=changed)
    sentence = "Every other browser and application is signed out of your account."
    return await _changed(form, changed, "Your password is changed", sentence, is_renewed=True)


@post(f"/t/{{org:str}}/{EMAIL_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def change_email(request: AnyRequest) -> AnyResponse:
    """Send a link to another address, for whoever is signed in."""
    form = await _submitted(request, EMAIL_PATH)
    if isinstance(form, Response):
        return form
    here, changes = form.here, directory_of(request).address_changes
    dataset_ref, values = here.context.dataset_ref, {"email": field(form.fields, "email")}
    try:
        wait_s = await changes.ask(
            dataset_ref, here.account, values["email"], form.password, asker_of(request)
        )
    except InvalidInput as rejected:
        return await _refused(form, {"email": rejected.description}, values)
    if wait_s is None:
        return _wrong_password(form, values)
    if wait_s:
        return await _refused(form, {"form": retry_sentence(wait_s, "mails")}, values, wait_s=wait_s)
    sentence = (
        f"We sent a mail to {values['email'].strip()}. Open its link and enter your password there. "
        "Until then your account does not change."
    )
    link = outbox_link(request, dataset_ref)
    return await _changed(form, here.account, "Look into your new mailbox", sentence, link=link)


@post(f"/t/{{org:str}}/{MOBILE_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def change_mobile(request: AnyRequest) -> AnyResponse:
    """Replace the mobile number of whoever is signed in."""
    form = await _submitted(request, MOBILE_PATH)
    if isinstance(form, Response):
        return form
    here, mobile = form.here, field(form.fields, "mobile")
    try:
        changed = await directory_of(request).account_changes.change_mobile(
            here.context.dataset_ref, here.account, mobile, form.password
        )
    except InvalidInput as rejected:
        return await _refused(form, {"mobile": rejected.description}, {"mobile": mobile})
    if changed is None:
        return _wrong_password(form, {"mobile": mobile})
    number = changed.claims.get(MOBILE_CLAIM)
    sentence = f"It is {number} now." if number else "Your account has no mobile number now."
    link = await proof_link(here.context, changed)
    return await _changed(form, changed, "Your mobile number is changed", sentence, link=link)


@post(f"/t/{{org:str}}/{DELETE_PATH}", request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def delete_account(request: AnyRequest) -> AnyResponse:
    """Erase what is whose who is signed in, and delete the account."""
    form = await _submitted(request, DELETE_PATH)
    if isinstance(form, Response):
        return form
    here = form.here
    receipts = await directory_of(request).account_changes.delete(
        here.context.dataset_ref, here.account, form.password, asker_of(request)
    )
    if receipts is None:
        return _wrong_password(form)
    sentence = "What was stored of you is erased, and you are signed out."
    if ADDRESS_CLAIM in here.account.verified:
        sentence += f" We send a receipt to {here.account.username}."
    page = message(
        here.context.dataset_ref.handle,
        "Your account is deleted",
        sentence,
        detail=" ".join(f"Receipt {receipt.receipt_id}" for receipt in receipts),
        link=outbox_link(request, here.context.dataset_ref)
        or (f"{here.context.cookie_path}/accounts/register", "Create another account"),
    )
    return with_cookies(page, session_cookie(request, here.context.cookie_path, None))


ROUTES = (*map(_page_at, _TEMPLATES), change_password, change_email, change_mobile, delete_account)


async def links_of(context: PageContext, account: Account) -> list[tuple[str, str]]:
    """The pages that change an account: URL and text."""
    has_mobile, has_address = MOBILE_CLAIM in account.claims, ADDRESS_CLAIM in account.claims
    texts = {
        EMAIL_PATH: f"{'Change your' if has_address else 'Add an'} e-mail address",
        MOBILE_PATH: f"{'Change your' if has_mobile else 'Add a'} mobile number",
        PASSWORD_PATH: "Change your password",
        DELETE_PATH: "Delete your account",
    }
    proof = await proof_link(context, account)
    changes = [(f"{context.cookie_path}/{path}", text) for path, text in texts.items()]
    return [*filter(None, [proof]), *changes]


class Submitted(msgspec.Struct, frozen=True):
    """A form that this service issued to this browser, whose password may be compared now."""

    here: Changing
    fields: dict[str, list[str]]

    @property
    def password(self) -> str:
        """What was entered as the current password."""
        return field(self.fields, "password")


async def _changing(request: AnyRequest, path: str) -> Changing | AnyResponse:
    context = await page_context(request)
    if isinstance(context, Response):
        return context
    if context.page_request.session is None:
        return Redirect(f"{context.cookie_path}/accounts/login", status_code=303)
    return Changing(context, context.page_request.session.account, path)


async def _submitted(request: AnyRequest, path: str) -> Submitted | AnyResponse:
    """The form of a page; another page if nobody is signed in, or it cannot be accepted now."""
    here = await _changing(request, path)
    if isinstance(here, Response):
        return here
    fields = await submitted_form(here.context)
    if fields is None:
        return _page(here, {"form": FORM_EXPIRED}, status=403, values=_values(here.account))
    values = {name: field(fields, name) for name in ("email", "mobile")}
    throttle = directory_of(request).throttle
    if wait_s := await throttle.acquire(here.context.dataset_ref, *here.subjects):
        return _page(here, {"form": retry_sentence(wait_s)}, values, status=429, wait_s=wait_s)
    return Submitted(here, fields)


def _wrong_password(form: Submitted, values: Mapping[str, str] | None = None) -> AnyResponse:
    return _page(form.here, {"password": PASSWORD_WRONG}, values, status=401)


async def _refused(
    form: Submitted, problems: Mapping[str, str], values: Mapping[str, str] | None = None, *, wait_s: int = 0
) -> AnyResponse:
    """The page again, for another reason than the password. `wait_s`: when it may be sent again."""
    await _give_back(form.here)
    return _page(form.here, problems, values, status=429 if wait_s else 400, wait_s=wait_s)


async def _give_back(here: Changing) -> None:
    """Count the attempt no longer: no wrong password was sent."""
    await directory_of(here.context.request).throttle.give_back(here.context.dataset_ref, *here.subjects)


async def _changed(
    form: Submitted,
    account: Account,
    heading: str,
    sentence: str,
    *,
    link: tuple[str, str] | None = None,
    is_renewed: bool = False,
) -> AnyResponse:
    """The page after a change. `is_renewed`: this browser needs another session."""
    here, context = form.here, form.here.context
    await _give_back(here)
    await directory_of(context.request).throttle.clear(context.dataset_ref, here.subjects[0])
    back = f"{context.cookie_path}/accounts", "Back to your account"
    page = message(context.dataset_ref.handle, heading, sentence, link=link or back)
    cookies = (await begin_session(context, account))[1] if is_renewed else []
    return with_cookies(page, *cookies)


def _page(
    here: Changing,
    problems: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    wait_s: int = 0,
) -> AnyResponse:
    context, account = here.context, here.account
    return form_page(
        context,
        _TEMPLATES[here.path],
        problems,
        status=status,
        wait_s=wait_s,
        values=dict(values or {}),
        name=name_of(account),
        username=account.username,
        address=account.claims.get(ADDRESS_CLAIM),
        is_verified=ADDRESS_CLAIM in account.verified,
        action=f"{context.cookie_path}/{here.path}",
        back=f"{context.cookie_path}/accounts",
    )


def _values(account: Account) -> dict[str, str]:
    """What a form contains at first: the number, which people correct; an address they replace."""
    return {"mobile": account.claims.get(MOBILE_CLAIM, "")}
