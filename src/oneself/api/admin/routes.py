"""All routes of this face."""

from __future__ import annotations

from litestar import Router

from oneself.api.admin import (
    applications,
    claims,
    datasets,
    events,
    identity_attributes,
    identity_provider,
    identity_types,
    lookup,
    people,
    rules,
    tail,
    token_keys,
    users,
)
from oneself.api.http.guard import require_permission

PATH = "/t/{org:str}/api/v1"

admin_routes = Router(
    PATH,
    route_handlers=[
        *rules.ROUTES,
        *people.ROUTES,
        *claims.ROUTES,
        *identity_provider.ROUTES,
        *applications.ROUTES,
        *users.ROUTES,
        *token_keys.ROUTES,
        *datasets.ROUTES,
        *identity_types.ROUTES,
        *identity_attributes.ROUTES,
        *lookup.ROUTES,
        *events.ROUTES,
        *tail.ROUTES,
    ],
    guards=[require_permission],
    security=[{"bearer": []}],
    tags=["Administration"],
)
