"""What each role may do: the one table. A page names its permission; nothing else asks for a role.

Source: docs/decisions/0054-who-signs-in-to-the-console.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from oneself.service.directory.console_users import Role

Permission = Literal[
    "see_organisation",
    "see_overview",
    "see_attributes",
    "change_attributes",
    "see_rules",
    "change_rules",
    "see_identity",
    "change_identity",
    "see_profiles",
    "decide_profiles",
    "export_profiles",
    "erase_profiles",
    "see_change_feed",
    "change_webhooks",
    "see_erasures",
    "see_applications",
    "change_applications",
    "see_members",
    "manage_members",
    "manage_sample_data",
    "see_audit_log",
]

_SEE: frozenset[Permission] = frozenset(
    {
        "see_organisation",
        "see_overview",
        "see_attributes",
        "see_rules",
        "see_identity",
        "see_profiles",
        "see_change_feed",
        "see_erasures",
        "see_applications",
        "see_members",
        "see_audit_log",
    }
)
_PRIVACY: frozenset[Permission] = frozenset({"export_profiles", "erase_profiles"})
_CHANGE: frozenset[Permission] = frozenset(
    {
        "change_attributes",
        "change_rules",
        "change_identity",
        "decide_profiles",
        "change_webhooks",
        "change_applications",
        "manage_members",
        "manage_sample_data",
    }
)

MAY: Mapping[Role, frozenset[Permission]] = {
    "administrator": _SEE | _PRIVACY | _CHANGE,
    "analyst": _SEE,
    "privacy_officer": _SEE | _PRIVACY,
}

#: What a role is called on pages, and what it is for.
NAMES: Mapping[str, str] = {
    "administrator": "Administrator",
    "analyst": "Analyst",
    "privacy_officer": "Privacy officer",
}
#: The same for whoever gives one.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "administrator": (NAMES["administrator"], "Sees and changes everything."),
    "analyst": (NAMES["analyst"], "Sees everything, also who has access, and changes nothing."),
    "privacy_officer": (
        NAMES["privacy_officer"],
        "Sees everything, also who has access. Exports and erases.",
    ),
}


def is_allowed(role: str, permission: Permission) -> bool:
    """Whether a role may do something."""
    return any(permission in permissions for name, permissions in MAY.items() if name == role)
