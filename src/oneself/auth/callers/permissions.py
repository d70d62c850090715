"""The names of all permissions. A permission is an OAuth scope. Source: docs/wire/cds.md §3.

Applications in which users sign in may also request `OIDC_SCOPES`; these give access to the user's own claims
only.
"""

from __future__ import annotations

PREFIX = "internal_cds_"

# The permissions of the customer data service. Source: docs/wire/cds.md §3.
CDS_PERMISSIONS = tuple(
    PREFIX + name
    for name in (
        "profile_view",
        "profile_create",
        "profile_update",
        "profile_delete",
        "profile_link",
        "profile_schema_view",
        "profile_schema_create",
        "profile_schema_update",
        "profile_schema_delete",
        "unification_rule_view",
        "unification_rule_create",
        "unification_rule_update",
        "unification_rule_delete",
        "consent_category_view",
        "consent_category_create",
        "consent_category_update",
        "consent_category_delete",
        "admin_config_view",
        "admin_config_update",
    )
)

# The permissions of the admin and event interfaces.
ADDITIONAL_PERMISSIONS = tuple(
    PREFIX + name
    for name in (
        "profile_merge",
        "profile_view_all",
        "identity_view",
        "identity_update",
        "event_create",
        "privacy_export",
    )
)

#: To read profiles.
PROFILE_VIEW = PREFIX + "profile_view"
#: To read the view `all`.
PROFILE_VIEW_ALL = PREFIX + "profile_view_all"

#: To change the users of the embedded directory, among others.
ADMIN_CONFIG_UPDATE = PREFIX + "admin_config_update"

PERMISSIONS = CDS_PERMISSIONS + ADDITIONAL_PERMISSIONS

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"
OIDC_SCOPES = (OPENID, "profile", "email", "phone", OFFLINE_ACCESS)


def is_permission(name: str) -> bool:
    """Whether a permission with this name exists."""
    return name in PERMISSIONS
