"""The guard of every organisation route: who calls, and with which permission.

    authenticate (401) → permission (403) → gate (400 while the service is not enabled, docs/wire/cds.md §3)

A route names its permission and its gate in its `opt`. The guard runs before the body is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from oneself.api.http.errors import NOT_ENABLED, forbidden, unauthenticated, wire_error
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.paths import parameters
from oneself.auth.callers.permissions import PREFIX
from oneself.auth.callers.principal import Principal
from oneself.core.config.configuration import Config
from oneself.core.disclosure import Reader
from oneself.errors import Forbidden, Unauthenticated
from oneself.service.context import Actor, DatasetRef
from oneself.settings import Settings

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
    def settings(self) -> Settings:
        return self.services.settings

    @property
    def user_id(self) -> str | None:
        """The user behind the request; None for an application that acts for itself."""
        subject = self.caller.subject
        return None if subject == self.caller.application else subject

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


async def require_permission(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Guard of every organisation route. It leaves the `RequestContext` in the request's state."""
    connection.scope["path_params"] = dict(parameters(connection.scope))
    call = await _authenticated(connection, handler.opt["interface"])
    permission = handler.opt["permission"]
    if not call.caller.holds(PREFIX + permission):
        raise forbidden()
    if (gate := handler.opt.get("gate")) and not call.config.settings.cds_enabled:
        raise wire_error("16001", gate.format(org=call.dataset_ref.handle))
    connection.scope["state"]["call"] = call


def context_of(request: AnyRequest) -> RequestContext:
    """The context that the guard left."""
    call: RequestContext = request.scope["state"]["call"]
    return call


def requires(permission: str, *, gate: str | None = NOT_ENABLED, interface: str = "cds") -> dict[str, Any]:
    """The `opt` of a route: its permission without the prefix, the text of a closed gate (None: no gate),
    and the interface in the log.
    """
    return {"permission": permission, "gate": gate, "interface": interface}


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
    return RequestContext(services, dataset_ref, caller, config, interface)
