"""Organisations that ask for a verified address before the first sign-in (`verified_address_first`).

    register, or sign in              a mail, and the request of the application in a cookie
    the link and the password         signed in, and back to the application with a code
    the same in another browser       signed in there; this one goes on by its own sign-in

Invariants: the tracker of a registration is used when the application redeems the code, as always: only then
has the application checked that this browser began the request. So it waits in the browser that has it.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import msgspec

from oneself.auth.provider.endpoints import directory_of
from oneself.auth.provider.link_pages import asker_of
from oneself.auth.provider.outbox_page import outbox_link
from oneself.auth.provider.page_context import AnyResponse, PageContext, retry_sentence
from oneself.auth.provider.pages import page
from oneself.auth.provider.signing_in import start_session
from oneself.service.directory.accounts import ADDRESS_CLAIM, Account
from oneself.web.sessions import browser_cookie, with_cookies

REQUEST_COOKIE = "oneself_request"
#: As long as a verification link works.
COOKIE_LIFE_S = 3 * 86_400
#: What browsers store in a cookie, its name and attributes included, is 4 096 bytes.
COOKIE_CHARACTERS_MAX = 3_500


async def needs_proof(context: PageContext, account: Account) -> bool:
    """Whether somebody has to prove the address of the account before they are signed in."""
    if ADDRESS_CLAIM in account.verified:
        return False
    configurations = context.request.app.state.services.configurations
    config = await configurations.current(context.dataset_ref.dataset_id)
    is_first: bool = config.settings.verified_address_first
    return is_first


async def wait_for_proof(context: PageContext, account: Account) -> AnyResponse:
    """Send a link, and keep the request of the application until it is used in this browser."""
    proofs = directory_of(context.request).address_proofs
    wait_s = 0
    if ADDRESS_CLAIM in account.claims:
        wait_s = await proofs.ask(context.dataset_ref, account, asker_of(context.request))
    response = page(
        "mail_sent.html",
        context.dataset_ref.handle,
        address=account.claims.get(ADDRESS_CLAIM),
        problem=retry_sentence(wait_s, "mails") if wait_s else None,
        sign_in=context.at("accounts/login"),
        registration=context.at("accounts/register"),
        outbox=outbox_link(context.request, context.dataset_ref),
    )
    request = urlencode(context.page_request.parameters, doseq=True)
    if not context.has_request or len(request) > COOKIE_CHARACTERS_MAX:
        return response
    cookie = browser_cookie(
        context.request, REQUEST_COOKIE, request, context.cookie_path, max_age_s=COOKIE_LIFE_S
    )
    return with_cookies(response, cookie)


async def go_on(context: PageContext, account: Account) -> AnyResponse:
    """Sign in whoever has proved the address, and return to the application that sent this browser."""
    kept = parse_qs(context.request.cookies.get(REQUEST_COOKIE, ""), keep_blank_values=True)
    request = msgspec.structs.replace(context.page_request, parameters=kept)
    response = await start_session(msgspec.structs.replace(context, page_request=request), account)
    gone = browser_cookie(context.request, REQUEST_COOKIE, "", context.cookie_path, max_age_s=0)
    return with_cookies(response, gone)
