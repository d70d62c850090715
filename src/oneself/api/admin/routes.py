"""All routes of the admin wire."""

from __future__ import annotations

from litestar import Router

from oneself.api.admin import (
    applications,
    changes,
    claims,
    code_webhook,
    dataset_events,
    datasets,
    decisions,
    explain,
    identity_attributes,
    identity_provider,
    identity_types,
    person,
    person_events,
    previews,
    privacy,
    profiles,
    rules,
    token_keys,
    users,
    webhooks,
    write_keys,
)
from oneself.api.http.guard import require_permission
from oneself.api.http.unknown_parameters import reject_unknown_parameters

PATH = "/t/{org:str}/api/v1"

admin_routes = Router(
    PATH,
    route_handlers=[
        *rules.ROUTES,
        *privacy.ROUTES,
        *decisions.ROUTES,
        *claims.ROUTES,
        *identity_provider.ROUTES,
        *code_webhook.ROUTES,
        *applications.ROUTES,
        *users.ROUTES,
        *token_keys.ROUTES,
        *datasets.ROUTES,
        *write_keys.ROUTES,
        *identity_types.ROUTES,
        *identity_attributes.ROUTES,
        *profiles.ROUTES,
        *person.ROUTES,
        *person_events.ROUTES,
        *explain.ROUTES,
        *dataset_events.ROUTES,
        *previews.ROUTES,
        *changes.ROUTES,
        *webhooks.ROUTES,
    ],
    guards=[require_permission, reject_unknown_parameters],
    security=[{"bearer": []}],
    tags=["Administration"],
)
