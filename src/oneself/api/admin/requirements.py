"""What a route of this face needs: a permission and, of the customer data service, that it is enabled."""

from __future__ import annotations

from typing import Any

from oneself.api.http import guard

INTERFACE = "admin"


def requires(permission: str) -> dict[str, Any]:
    """The `opt` of a route that is always open to who holds the permission (without its prefix)."""
    return guard.requires(permission, gate=None, interface=INTERFACE)


def requires_enabled(permission: str) -> dict[str, Any]:
    """The `opt` of a route that is shut while the customer data service is not enabled (wire/cds §3)."""
    return guard.requires(permission, interface=INTERFACE)
