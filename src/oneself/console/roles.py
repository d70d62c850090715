"""What each role may do: the one table. A page names its permission; nothing else asks for a role.

Source: docs/decisions/0054-who-signs-in-to-the-console.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from oneself.service.directory.console_users import Role

Permission = Literal[
    "see_organisation",
    "see_attributes",
    "change_attributes",
    "see_profiles",
    "decide_profiles",
    "export_profiles",
    "erase_profiles",
]

_SEE: frozenset[Permission] = frozenset({"see_organisation", "see_attributes", "see_profiles"})
_PRIVACY: frozenset[Permission] = frozenset({"export_profiles", "erase_profiles"})

MAY: Mapping[Role, frozenset[Permission]] = {
    "administrator": _SEE | _PRIVACY | {"change_attributes", "decide_profiles"},
    "analyst": _SEE,
    "privacy_officer": _SEE | _PRIVACY,
}

#: What a role is called on pages, and what it is for.
NAMES: Mapping[str, str] = {
    "administrator": "Administrator",
    "analyst": "Analyst",
    "privacy_officer": "Privacy officer",
}


def is_allowed(role: str, permission: Permission) -> bool:
    """Whether a role may do something."""
    return any(permission in permissions for name, permissions in MAY.items() if name == role)
