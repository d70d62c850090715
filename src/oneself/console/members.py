"""Organisation → Console users: who may sign in here, and as what.

Invariants: an administrator creates users with a role in their organisation, and changes and takes the roles
of its members, except their own: so the organisation keeps an administrator. Somebody who exists and is no
member gets no role here: whoever created them knows their password. A password is shown once, to whoever
creates the user; nobody sets the password of somebody who exists.
"""

from __future__ import annotations

from typing import Any

from litestar import Response

from oneself.console.context import ConsoleContext, NoSuchPage, NotAllowed, console_context, requires
from oneself.console.forms import accepted_form, first, page, see_done
from oneself.console.handlers import form_at, page_at
from oneself.console.query import required_text
from oneself.console.roles import NAMES
from oneself.errors import Conflict, Forbidden, InvalidInput, NotFound
from oneself.service.crypto import new_password
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE, MANAGE = requires("see_members"), requires("manage_members")
REMOVED = "The user has no role here any more."
OWN_ROLE = "Nobody changes their own role. Ask another administrator."


@page_at("/members", SEE)
async def member_list(request: AnyRequest) -> AnyResponse:
    """List the console users of the organisation."""
    return await _list(console_context(request))


@form_at("/members", MANAGE)
async def add_member(request: AnyRequest) -> AnyResponse:
    """Create a console user with a role."""
    context, username, role = console_context(request), "", ""
    try:
        async with accepted_form(context) as form:
            username, role = first(form, "username"), first(form, "role")
            if role not in NAMES:
                raise InvalidInput("role", "Choose a role.")
            password = new_password()
            await _create(context, username, password, role)
    except InvalidInput as invalid:
        problems = {invalid.code: invalid.description}
        return await _list(context, problems, username=username, role=role, status=400)
    return page(context, "member_created.html", username=username, role=NAMES[role], password=password)


@page_at("/members/member", MANAGE)
async def show_member(request: AnyRequest) -> AnyResponse:
    """Show the role of a console user, to change or take it."""
    context = console_context(request)
    username, role = await _asked(context)
    return page(context, "member.html", username=username, role=role)


@form_at("/members/member", MANAGE)
async def change_member(request: AnyRequest) -> AnyResponse:
    """Change the role of a console user, or take it."""
    context = console_context(request)
    username, _ = await _asked(context)
    async with accepted_form(context) as form:
        chosen = first(form, "role")
        if chosen not in (*NAMES, "none"):
            raise NoSuchPage
        try:
            await context.services.directory.console_users.change_member(
                username,
                context.dataset_ref,
                None if chosen == "none" else chosen,
                changed_by=context.session.username,
            )
        except NotFound:
            raise NoSuchPage from None
        except Forbidden:
            raise NotAllowed from None
    done = REMOVED if chosen == "none" else "The role was changed. It holds from the next page on."
    return see_done(context, f"{context.home}/members", done)


async def _create(context: ConsoleContext, username: str, password: str, role: str) -> None:
    """Raises InvalidInput: also if somebody is called so, here or in another organisation."""
    users = context.services.directory.console_users
    try:
        await users.create(username, password, {context.dataset_ref: role})
    except Conflict:
        members = await users.find_of(context.dataset_ref)
        known = next((name for name in members if name.lower() == username.lower()), None)
        if known is not None:
            sentence = f"{known} has a role here already. Change it in the list."
        else:
            command = f"oneself console-user role {username} {role.replace('_', '-')}"
            sentence = (
                f"The name {username} is taken. Choose another one. If it is the same person, whoever runs "
                f"the service can give them the role: {command} --org {context.dataset_ref.handle}"
            )
        raise InvalidInput("username", sentence) from None


async def _asked(context: ConsoleContext) -> tuple[str, str]:
    """The user that a page is about, and their role; not whoever asks.

    Raises InvalidParameter, NoSuchPage.
    """
    username = required_text(context.request, "name")
    known = await context.services.directory.console_users.find_of(context.dataset_ref)
    if username not in known or username == context.session.username:
        raise NoSuchPage
    return username, known[username]


async def _list(
    context: ConsoleContext,
    problems: dict[str, str] | None = None,
    *,
    username: str = "",
    role: str = "analyst",
    status: int = 200,
) -> AnyResponse:
    members = await context.services.directory.console_users.find_of(context.dataset_ref)
    return page(
        context,
        "members.html",
        status=status,
        members=sorted(members.items(), key=lambda item: item[0].casefold()),
        problems=problems or {},
        username=username,
        role=role,
        own_role=OWN_ROLE,
    )


ROUTES = (member_list, add_member, show_member, change_member)
