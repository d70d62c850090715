"""What a route of the admin wire requires: a permission and, for some, that the service is enabled."""

from __future__ import annotations

from typing import Any

from oneself.api.http import guard

INTERFACE = "admin"


def requires(permission: str, *others: str) -> dict[str, Any]:
    """The `opt` of a route that requires a permission (named without its prefix), or one of others."""
    return guard.requires(permission, gate=None, interface=INTERFACE, or_permissions=others)


def requires_enabled(permission: str) -> dict[str, Any]:
    """The `opt` of a route that also requires that the customer data service is enabled (docs/wire/cds.md
    §3).
    """
    return guard.requires(permission, interface=INTERFACE)
