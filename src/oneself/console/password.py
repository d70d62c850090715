"""The own password of a console user.

Invariants: wrong passwords are counted as those of sign-ins. A new password ends every session of the user,
this one too.
"""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from oneself.console.context import COOKIE_PATH, SESSION_COOKIE, ConsoleContext, console_context, guard
from oneself.console.forms import accepted_form, page
from oneself.console.rendering import notice
from oneself.console.sign_in import password_subjects, wait_sentence
from oneself.errors import InvalidInput
from oneself.service.directory.console_sessions import CONSOLE
from oneself.web.forms import FORM_BYTES_MAX, AnyRequest, Parameters
from oneself.web.sessions import browser_cookie, with_cookies

AnyResponse = Response[Any]


class _PasswordRejected(Exception):
    """The password was not changed: which field says why."""

    def __init__(self, field: str, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.problems = {field: sentence}
        self.status = status


@get("/console/password", guards=[guard], include_in_schema=False)
async def password_page(request: AnyRequest) -> AnyResponse:
    """Show the form of a new password."""
    return page(console_context(request), "password.html", problems={})


@post("/console/password", guards=[guard], request_max_body_size=FORM_BYTES_MAX, include_in_schema=False)
async def change_password(request: AnyRequest) -> AnyResponse:
    """Change the password of the user who is signed in."""
    context = console_context(request)
    try:
        async with accepted_form(context) as form:
            await _change(context, form)
    except _PasswordRejected as rejected:
        return page(context, "password.html", problems=rejected.problems, status=rejected.status)
    rendered = notice(
        "Your password was changed",
        "You are signed out in every browser. Sign in with the new password.",
        status=200,
        link=("/console/", "Sign in"),
    )
    return with_cookies(rendered, browser_cookie(request, SESSION_COOKIE, "", COOKIE_PATH, max_age_s=0))


async def _change(context: ConsoleContext, form: Parameters) -> None:
    """Raises _PasswordRejected."""
    directory, username = context.services.directory, context.session.username
    current, new, again = (form.get(name, [""])[0] for name in ("current", "new", "again"))
    if new != again:
        raise _PasswordRejected("again", "The two new passwords differ.")
    subjects = await password_subjects(context.request, username)
    if wait_s := await directory.throttle.acquire(CONSOLE, *subjects):
        raise _PasswordRejected("current", wait_sentence(wait_s), 429)
    if await directory.console_users.authenticate(username, current) is None:
        raise _PasswordRejected("current", "This is not your password.")
    await directory.throttle.give_back(CONSOLE, *subjects)
    try:
        await directory.console_users.set_password(username, new)
    except InvalidInput as invalid:
        raise _PasswordRejected("new", invalid.description) from None


ROUTES = (password_page, change_password)
