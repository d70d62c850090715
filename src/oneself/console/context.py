"""Who asks for a page, and whether their role allows it.

    no session                       sign in first, then back to the page
    no role in the organisation      404, as for an organisation that does not exist
    the role does not allow it       403

Invariants: the guard runs before every page. A page of an organisation names its permission in its `opt`;
roles are read with each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from oneself.console.query import InvalidParameter, alternatives, query_text
from oneself.console.roles import NAMES, Permission, is_allowed
from oneself.core.config.configuration import Config
from oneself.service.acting import act_as
from oneself.service.context import DEFAULT_DATASET, Actor, DatasetRef
from oneself.service.directory.console_sessions import ConsoleSession, OrganisationRole
from oneself.web.forms import AnyRequest

if TYPE_CHECKING:
    from oneself.services import Services

COOKIE_PATH = "/console"
SESSION_COOKIE = "oneself_console"


class SignInNeeded(Exception):
    """No console user is signed in. `path`: where to return."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class NoSuchPage(Exception):
    """There is no such page, or not for this user."""


class NotAllowed(Exception):
    """The user's role does not allow this."""


class ConsoleContext(msgspec.Struct, frozen=True):
    """A request of a signed-in console user. The organisation is None on pages that belong to none."""

    request: AnyRequest
    services: Services
    session: ConsoleSession
    organisation: OrganisationRole | None = None
    organisation_ref: DatasetRef | None = None
    #: The dataset that the page is about, if the query names one.
    chosen_ref: DatasetRef | None = None

    @property
    def dataset_ref(self) -> DatasetRef:
        """The dataset of the page: that of the organisation, unless the page is about another one."""
        found = self.chosen_ref or self.organisation_ref
        assert found is not None, "the page belongs to an organisation"
        return found

    @property
    def actor(self) -> Actor:
        """The user, as the log names them."""
        return Actor("console", console_user=self.session.username)

    async def in_dataset(self) -> ConsoleContext:
        """The same page about the dataset that its query names. Raises InvalidParameter."""
        name = query_text(self.request, "dataset") or DEFAULT_DATASET
        datasets = self.services.schema.datasets
        found = await datasets.find(self.dataset_ref, name)
        if found is None:
            known = [item.name for item in await datasets.list(self.dataset_ref)]
            raise InvalidParameter("dataset", f"It can be {alternatives(known)}.")
        return msgspec.structs.replace(self, chosen_ref=found)

    async def organisation_config(self) -> Config:
        """The configuration of the organisation: that of its dataset `default`."""
        assert self.organisation_ref is not None, "the page belongs to an organisation"
        return await self.services.configurations.current(self.organisation_ref.dataset_id)

    async def config(self) -> Config:
        """The configuration of the dataset as it is now."""
        return await self.services.configurations.current(self.dataset_ref.dataset_id)

    @property
    def home(self) -> str:
        """The path of the organisation's pages, without a slash at its end."""
        assert self.organisation is not None, "the page belongs to an organisation"
        return f"/console/o/{self.organisation.handle}"

    @property
    def role_name(self) -> str:
        """What the user's role is called."""
        return NAMES.get(self.organisation.role, "") if self.organisation else ""

    @property
    def is_part(self) -> bool:
        """Whether a part of a page is asked for, by a script of ours."""
        return self.request.headers.get("hx-request") == "true"

    def may(self, permission: Permission) -> bool:
        """Whether the user may do something here."""
        return self.organisation is not None and is_allowed(self.organisation.role, permission)


def requires(permission: Permission) -> dict[str, Any]:
    """The `opt` of a page of an organisation."""
    return {"permission": permission}


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Find who asks. Raises SignInNeeded, NoSuchPage, NotAllowed."""
    services: Services = connection.app.state.services
    session = await services.directory.console_sessions.find(connection.cookies.get(SESSION_COOKIE))
    request = cast("Request[Any, Any, Any]", connection)
    if session is None:
        raise SignInNeeded(_path_of(connection))
    context = ConsoleContext(request, services, session)
    if "org" in connection.path_params:
        organisation = session.roles.get(connection.path_params["org"])
        if organisation is None:
            raise NoSuchPage
        if not is_allowed(organisation.role, handler.opt["permission"]):
            raise NotAllowed
        found = await services.directory.organisations.get(organisation.handle)
        context = msgspec.structs.replace(context, organisation=organisation, organisation_ref=found)
    act_as(context.actor)
    connection.state.console = context


def console_context(request: AnyRequest) -> ConsoleContext:
    """The context that the guard found."""
    context: ConsoleContext = request.state.console
    return msgspec.structs.replace(context, request=request)


def _path_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The page to return to after the sign-in; that of a form is not repeated."""
    if connection.scope.get("method") != "GET":
        return "/console/"
    query = connection.scope["query_string"].decode("latin-1")
    return connection.url.path + (f"?{query}" if query else "")
