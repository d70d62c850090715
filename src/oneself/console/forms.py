"""Forms of the console: sent by this browser, in this session, once.

    not of this session                   403
    no text that can be stored            400
    the same form again                   409; nothing is changed again
    changed by somebody else meanwhile    409, by the page, which shows what is stored now

Invariants: every page that changes something reads its form by `accepted_form`, and redirects afterwards. A
form that changed nothing, because it was rejected or the database did not answer, can be sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Response
from litestar.response import Redirect

from oneself.console.context import COOKIE_PATH, ConsoleContext
from oneself.console.flash import FlashMessage, flash_cookie, take_flash
from oneself.console.rendering import html
from oneself.service.crypto import new_token
from oneself.web.csrf import CsrfTokens
from oneself.web.forms import InvalidForm, Parameters, form_of
from oneself.web.sessions import with_cookies

FORM_FIELD = "form"


class FormRejected(Exception):
    """The form is not one of this session."""


class FormUnreadable(Exception):
    """The form has something that no field may contain. The message says what."""


class FormRepeated(Exception):
    """The form was sent before."""


def page(context: ConsoleContext, template: str, *, status: int = 200, **values: Any) -> Response[Any]:
    """Render a page of a signed-in user. Its forms can be sent by this browser, in this session, once."""
    tokens = CsrfTokens(context.services.secret_box)
    csrf, cookie = tokens.issue(context.request, _scope(context), COOKIE_PATH)
    message, deletions = take_flash(context)
    values |= {"context": context, "csrf": csrf, "form_token": new_token(), "flash": message}
    return with_cookies(html(template, status=status, **values), cookie, *deletions)


@asynccontextmanager
async def accepted_form(context: ConsoleContext) -> AsyncIterator[Parameters]:
    """The form of the request. Raises FormRejected, FormUnreadable, FormRepeated."""
    form = await checked_form(context)
    token = first(form, FORM_FIELD)
    sessions = context.services.directory.console_sessions
    if not token:
        raise FormRejected
    if not await sessions.claim_form(token):
        raise FormRepeated
    try:
        yield form
    except BaseException:
        await sessions.release_form(token)
        raise


async def checked_form(context: ConsoleContext) -> Parameters:
    """The form of the request, which may be sent again: for what can be done twice.

    Raises FormRejected, FormUnreadable.
    """
    try:
        form = await form_of(context.request)
    except InvalidForm as error:
        raise FormUnreadable(str(error)) from None
    if not CsrfTokens(context.services.secret_box).is_valid(context.request, _scope(context), form):
        raise FormRejected
    return form


def first(form: Parameters, name: str) -> str:
    """The first value of a field, without blanks around it; empty if the form lacks it."""
    return form.get(name, [""])[0].strip()


def see(path: str) -> Redirect:
    """Redirect the browser to a page after a change, so that a reload repeats nothing."""
    return Redirect(path, status_code=303)


def see_done(context: ConsoleContext, path: str, done: str, *, problem: str = "") -> Response[Any]:
    """The same, and the page says once what was done. `problem`: what went wrong with it."""
    return with_cookies(see(path), flash_cookie(context, path, FlashMessage(done, problem)))


def _scope(context: ConsoleContext) -> str:
    return f"console {context.session.session_id}"
