"""The first pages: which organisation, and what there is to do in it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from oneself.console.context import console_context, guard, requires
from oneself.console.forms import page, see
from oneself.console.rendering import html
from oneself.console.sample_data import sample_offer
from oneself.core.values.attribute import SCOPES
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]


@get("/", include_in_schema=False)
async def front(request: AnyRequest) -> AnyResponse:
    """Link to the console and to the reference."""
    return html("front.html")


@get("/console", guards=[guard], include_in_schema=False)
async def entrance(request: AnyRequest) -> AnyResponse:
    """Go to the only organisation of the user, or let them choose one."""
    context = console_context(request)
    if len(context.session.roles) == 1:
        return see(f"/console/o/{next(iter(context.session.roles))}")
    return page(context, "organisations.html")


@get("/console/organisations", guards=[guard], include_in_schema=False)
async def organisations(request: AnyRequest) -> AnyResponse:
    """Let the user choose one of their organisations."""
    return page(console_context(request), "organisations.html")


@get("/console/o/{org:str}", opt=requires("see_organisation"), guards=[guard], include_in_schema=False)
async def home(request: AnyRequest) -> AnyResponse:
    """Show what there is in an organisation, and what to do first."""
    context = console_context(request)
    config = await context.config()
    counts = {scope: len(config.schema.in_scope(scope)) for scope in SCOPES}
    return page(
        context,
        "home.html",
        counts=counts,
        is_enabled=config.settings.cds_enabled,
        offer=await sample_offer(context),
    )


ROUTES = (front, entrance, organisations, home)
