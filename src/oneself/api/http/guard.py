"""The guard of every organisation route: who calls, with which permission, and what the caller reaches.

    authenticate (401) → permission (403) → reach (403) → gate (400 while the service is not enabled)

A route names its permission and its gate in its `opt`, and whether it serves one person's own profile. Any
other route serves only callers that reach everything (docs/concepts/trust.md). The guard runs before the body
is read. Source of the gate: docs/wire/cds.md §3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from oneself.api.http.errors import (
    BEYOND_REACH,
    INVALID_REQUEST,
    NOT_ENABLED,
    SERVICE_DISABLED,
    forbidden,
    unauthenticated,
    wire_error,
)
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.paths import parameters
from oneself.auth.callers.permissions import PREFIX, PROFILE_VIEW_ALL
from oneself.auth.callers.principal import Principal
from oneself.core.config.configuration import Config
from oneself.core.disclosure import Reader, ReaderAccess
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.core.resolution.observation import SenderTrust
from oneself.errors import Forbidden, Unauthenticated
from oneself.service.acting import act_as
from oneself.service.context import Actor, DatasetRef
from oneself.service.profiles.profiles import ProfileView
from oneself.settings import Settings
from oneself.store.tables.profile_listing import ListView

if TYPE_CHECKING:
    from oneself.services import Services


class RequestContext(msgspec.Struct, frozen=True):
    """An authorised request: its caller, its organisation, and the configuration at its start."""

    services: Services
    dataset_ref: DatasetRef
    caller: Principal
    config: Config
    interface: str

    @property
    def actor(self) -> Actor:
        """The caller, as the log names it."""
        return Actor(interface=self.interface, application=self.caller.application, trust="server")

    @property
    def writer(self) -> Actor:
        """The caller as a writer of values: what a person writes of themselves, nobody has proved."""
        trust: SenderTrust = "server" if self.caller.reach.is_everything else "browser"
        return msgspec.structs.replace(self.actor, trust=trust)

    @property
    def settings(self) -> Settings:
        return self.services.settings

    @property
    def user_id(self) -> str | None:
        """The user behind the request; None for an application that acts for itself."""
        return self.caller.user_id

    @property
    def may_read_all(self) -> bool:
        """Whether the caller may read what the business believes."""
        return self.caller.reach.is_everything and self.caller.holds(PROFILE_VIEW_ALL)

    def requested_view(self, text: str | None, config: Config | None = None) -> View:
        """The view that a request asks for. `text`: its parameter `view`. `config`: of its dataset, if it is
        not the organisation's own.

        A person reads what they own. An application that names no view reads the default one of the dataset,
        as far as it may. Raises WireError: 400 for an unknown view, 403 for one that the caller may not read.
        """
        if text is not None and text not in VIEWS:
            raise wire_error(INVALID_REQUEST, "view must be own, proven or all.")
        named = next((view for view in VIEWS if view == text), None)
        if not self.caller.reach.is_everything:
            if named not in (None, "own"):
                raise forbidden("A person reads what they own: view=own.")
            return "own"
        if named == "all" and not self.may_read_all:
            raise forbidden(f"view=all needs the permission {PROFILE_VIEW_ALL}.")
        view = named or (config or self.config).dataset.default_view
        return "proven" if view == "all" and not self.may_read_all else view

    def listed_view(self, text: str | None, config: Config | None = None) -> ListView:
        """The view of a list that a request asks for, as `requested_view`. There is no list of `own`."""
        view = self.requested_view(text, config)
        if view == "own":
            raise wire_error(INVALID_REQUEST, "A list has the view proven or all.")
        return view

    async def find_profile(self, profile_id: UUID | None, view: View) -> ProfileView | None:
        """The profile with this id in a view, if the caller reaches it; any other is unknown to them."""
        if profile_id is None:
            return None
        profiles = self.services.profiles.profiles
        found = await profiles.find_in(self.dataset_ref, profile_id, view, config=self.config)
        return found if found is not None and self.caller.reach.covers(found.survivor.user_id) else None

    async def reaches(self, profile_id: UUID | None) -> bool:
        """Whether the caller may write to this profile. If they reach everything, it need not exist."""
        return self.caller.reach.is_everything or await self.find_profile(profile_id, "own") is not None

    def server_url(self, request: AnyRequest) -> str:
        """The address of the service: the configured one, else the one of the request."""
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        return f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"

    def reader(self, *, with_application_data: bool, applications: frozenset[str] | None) -> Reader:
        """The caller as a reader of values."""
        return Reader(
            application=self.caller.application,
            is_system=self.caller.application in self.config.settings.system_applications,
            with_application_data=with_application_data,
            applications=applications,
        )

    def access(self, asked: frozenset[str]) -> ReaderAccess:
        """What the caller may read in answers with application data. `asked`: consent categories."""
        return ReaderAccess(self.config, self.reader(with_application_data=True, applications=None), asked)


async def require_permission(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Guard of every organisation route. It leaves the `RequestContext` in the request's state."""
    connection.scope["path_params"] = dict(parameters(connection.scope))
    call = await _authenticated(connection, handler.opt["interface"])
    permission = handler.opt["permission"]
    accepted = (permission, *handler.opt.get("or_permissions", ()))
    if not any(call.caller.holds(PREFIX + name) for name in accepted):
        raise forbidden()
    if not (call.caller.reach.is_everything or handler.opt.get("serves_persons")):
        raise forbidden(BEYOND_REACH)
    if (gate := handler.opt.get("gate")) and not call.config.settings.cds_enabled:
        raise wire_error(SERVICE_DISABLED, gate.format(org=call.dataset_ref.handle))
    connection.scope["state"]["call"] = call


def context_of(request: AnyRequest) -> RequestContext:
    """The context that the guard left."""
    call: RequestContext = request.scope["state"]["call"]
    return call


def requires(
    permission: str,
    *,
    gate: str | None = NOT_ENABLED,
    interface: str = "cds",
    serves_persons: bool = False,
    or_permissions: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The `opt` of a route: its permission without the prefix, the text of a closed gate (None: no gate), and
    the interface in the log.

    `serves_persons`: persons may call it. Its handler must then answer with what the caller reaches alone.
    `or_permissions`: each of them suffices as well.
    """
    return {
        "permission": permission,
        "gate": gate,
        "interface": interface,
        "serves_persons": serves_persons,
        "or_permissions": or_permissions,
    }


async def _authenticated(connection: ASGIConnection[Any, Any, Any, Any], interface: str) -> RequestContext:
    services: Services = connection.app.state.services
    dataset_ref = await services.directory.organisations.find(connection.path_params["org"])
    if dataset_ref is None:
        raise unauthenticated()
    try:
        caller = await services.callers.guard.authenticate(
            connection.headers.get("authorization"), dataset_ref
        )
    except Unauthenticated:
        raise unauthenticated() from None
    except Forbidden as error:
        raise forbidden(error.description) from None
    config = await services.configurations.current(dataset_ref.dataset_id)
    call = RequestContext(services, dataset_ref, caller, config, interface)
    act_as(call.actor)
    return call
