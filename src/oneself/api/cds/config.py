"""`/config`: the settings of an organisation on this wire. Source: docs/wire/cds.md §11."""

from __future__ import annotations

from litestar import get, patch

from oneself.api.cds.documents import ConfigurationDocument, ConfigurationPatch
from oneself.api.cds.errors import INVALID_CONFIGURATION
from oneself.api.http.errors import wire_error
from oneself.api.http.guard import context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, decode_object
from oneself.api.http.openapi import Described, described, error_responses
from oneself.core.config.changes import (
    EMAIL_SOURCES,
    MOBILE_SOURCES,
    OrganisationSettings,
    PutSettings,
)
from oneself.errors import InvalidInput

PATCH_BODY = Body("admin configuration", INVALID_CONFIGURATION, ConfigurationPatch)
SYSTEM_APPLICATIONS_MAX = 1_000


@get(
    "/config",
    opt=requires("admin_config_view", gate=None),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def read_config(request: AnyRequest) -> ConfigurationDocument:
    """Read the settings."""
    return _render(context_of(request).config.settings)


@patch(
    "/config",
    opt=requires("admin_config_update", gate=None),
    operation_class=described(takes=ConfigurationPatch),
    responses=error_responses(400, 401, 403, 413, 415),
)
async def change_config(request: AnyRequest) -> ConfigurationDocument:
    """Change settings. An absent field is unchanged, `[]` clears."""
    call = context_of(request)
    document = await decode_object(request, PATCH_BODY)
    applications = document.get("system_applications")
    if applications is not None and len(applications) > SYSTEM_APPLICATIONS_MAX:
        raise wire_error(
            INVALID_CONFIGURATION, f"At most {SYSTEM_APPLICATIONS_MAX} system applications are allowed."
        )
    if not all(name.strip() and name.isprintable() for name in applications or ()):
        raise wire_error(
            INVALID_CONFIGURATION, "A system application is named by its client id, which is not empty."
        )
    change = PutSettings(
        cds_enabled=document.get("cds_enabled"),
        system_applications=None if applications is None else tuple(dict.fromkeys(applications)),
        detach_on_sign_out=document.get("detach_on_sign_out"),
        verified_address_first=document.get("verified_address_first"),
        email_verified_by=_sources(document.get("email_verified_by")),
        mobile_verified_by=_sources(document.get("mobile_verified_by")),
    )
    try:
        changed = await call.services.setup.activation.change(call.dataset_ref, change)
    except InvalidInput as error:
        raise wire_error(INVALID_CONFIGURATION, error.description) from None
    return _render(changed.settings)


def _sources(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _render(settings: OrganisationSettings) -> ConfigurationDocument:
    return ConfigurationDocument(
        cds_enabled=settings.cds_enabled,
        system_applications=list(settings.system_applications),
        detach_on_sign_out=settings.detach_on_sign_out,
        verified_address_first=settings.verified_address_first,
        email_verified_by=_unless_all(settings.email_verified_by, EMAIL_SOURCES),
        mobile_verified_by=_unless_all(settings.mobile_verified_by, MOBILE_SOURCES),
    )


def _unless_all(sources: tuple[str, ...], known: tuple[str, ...]) -> list[str] | None:
    return None if sources == known else list(sources)
