"""The form of an application: what its fields mean.

Invariants: no decisions about applications; `service.directory.applications` decides.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneself.console.forms import first
from oneself.service.directory.applications import Application, NewApplication
from oneself.web.forms import Parameters

#: A machine application has none of these.
REDIRECTS = ("redirect_uris", "post_logout_redirect_uris")


class ApplicationFields(msgspec.Struct, frozen=True):
    """The form of an application as somebody filled it in, or as one is stored. URIs: one on each line."""

    name: str = ""
    kind: str = "machine"
    redirect_uris: str = ""
    post_logout_redirect_uris: str = ""
    permissions: tuple[str, ...] = ()

    def new(self) -> NewApplication:
        """The application to create."""
        return NewApplication(kind=self.kind, **self.changes(self.kind))

    def changes(self, kind: str) -> dict[str, Any]:
        """What changes of an application of a kind; a machine application redirects nobody."""
        uris = {name: () if kind == "machine" else getattr(self, name).split() for name in REDIRECTS}
        return {"name": self.name, "permissions": self.permissions, **uris}


def fields_of(application: Application) -> ApplicationFields:
    """The form that changes a stored application."""
    return ApplicationFields(
        name=application.name,
        kind=application.kind,
        redirect_uris="\n".join(application.redirect_uris),
        post_logout_redirect_uris="\n".join(application.post_logout_redirect_uris),
        permissions=application.permissions,
    )


def read_fields(form: Parameters) -> ApplicationFields:
    """The fields of a form."""
    return ApplicationFields(
        name=first(form, "name"),
        kind=first(form, "kind"),
        redirect_uris=first(form, "redirect_uris"),
        post_logout_redirect_uris=first(form, "post_logout_redirect_uris"),
        permissions=tuple(form.get("permissions", ())),
    )


def version_of(application: Application) -> str:
    """What a form names as the application that its author saw."""
    return msgspec.json.encode(fields_of(application)).hex()
