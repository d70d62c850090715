"""Organisation → Console users: who may sign in here, and as what.

Invariants: an administrator gives and takes roles in their organisation, except their own, so that nobody
locks themselves out by mistake. A password is shown once, to whoever creates the user; nobody sets the
password of somebody who exists.
"""

from __future__ import annotations

from typing import Any

from litestar import Response

from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.forms import accepted_form, first, page, see
from oneself.console.handlers import form_at, page_at
from oneself.console.roles import NAMES
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.crypto import new_secret
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
MANAGE = requires("manage_members")
OWN_ROLE = "Nobody changes their own role. Ask another administrator."


@page_at("/members", MANAGE)
async def member_list(request: AnyRequest) -> AnyResponse:
    """List the console users of the organisation."""
    return await _list(console_context(request))


@form_at("/members", MANAGE)
async def add_member(request: AnyRequest) -> AnyResponse:
    """Give somebody a role, and create them if nobody is called so."""
    context, username, role = console_context(request), "", ""
    users = context.services.directory.console_users
    try:
        async with accepted_form(context) as form:
            username, role = first(form, "username"), first(form, "role")
            if role not in NAMES:
                raise InvalidInput("role", "Choose a role.")
            if username in await users.find_of(context.dataset_ref):
                raise InvalidInput("username", f"{username} has a role here already. Change it in the list.")
            password = new_secret()
            try:
                await users.create(username, password, {context.dataset_ref: role})
            except Conflict:
                await users.set_role(username, context.dataset_ref, role)
                return see(f"{context.home}/members?done=added")
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
            await context.services.directory.console_users.set_role(
                username, context.dataset_ref, None if chosen == "none" else chosen
            )
        except NotFound:
            raise NoSuchPage from None
    return see(f"{context.home}/members?done={'removed' if chosen == 'none' else 'changed'}")


async def _asked(context: ConsoleContext) -> tuple[str, str]:
    """The user that a page is about, and their role. Raises NoSuchPage: none, or whoever asks."""
    username = context.request.query_params.get("name", "")
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
        done=context.request.query_params.get("done", ""),
        own_role=OWN_ROLE,
    )


ROUTES = (member_list, add_member, show_member, change_member)
