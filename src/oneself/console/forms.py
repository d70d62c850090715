"""Forms of the console: sent by this browser, in this session, once.

    not of this session                   403
    no text that can be stored            400
    the same form again                   409; nothing is changed again
    changed by somebody else meanwhile    409, by the page, which shows what is stored now

Invariants: every page that changes something reads its form by `accepted_form`, and redirects afterwards. A
form that changed nothing, because it was rejected or the database did not answer, can be sent again.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from litestar import Response
from litestar.response import Redirect

from oneself.console.context import COOKIE_PATH, ConsoleContext
from oneself.console.rendering import html
from oneself.errors import SettingsError
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
    rendered = html(template, status=status, context=context, csrf=csrf, form_token=new_token(), **values)
    return with_cookies(rendered, cookie)


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


def done_sentence(context: ConsoleContext, sentences: Mapping[str, str]) -> str:
    """What a page says after a redirect by `see`; empty: nothing. `sentences`: word in `done` → it."""
    return sentences.get(context.request.query_params.get("done", ""), "")


def see(path: str) -> Redirect:
    """Redirect the browser to a page after a change, so that a reload repeats nothing."""
    return Redirect(path, status_code=303)


def encrypted_sentence(context: ConsoleContext, sentence: str) -> str:
    """A sentence that a redirect carries in its query. Nobody else can read or forge it."""
    encrypted = context.services.secret_box.encrypt(sentence.encode(), _scope(context))
    return urlsafe_b64encode(encrypted).decode()


def decrypted_sentence(context: ConsoleContext, text: str) -> str | None:
    """The sentence that `encrypted_sentence` carried; None if it is none of this session."""
    try:
        encrypted = urlsafe_b64decode(text)
        return context.services.secret_box.decrypt(encrypted, _scope(context)).decode()
    except (ValueError, SettingsError):
        return None


def _scope(context: ConsoleContext) -> str:
    return f"console {context.session.session_id}"
