"""What kinds of applications and their permissions are called on pages."""

from __future__ import annotations

from collections.abc import Mapping

from oneself.auth.callers.permissions import PREFIX
from oneself.console.words import Options

KINDS: Options = {
    "machine": ("Machine", "A server or a script that asks in its own name. It has a secret."),
    "web": ("Web application", "A server where people sign in. It has a secret."),
    "browser": ("Browser or native application", "Runs on people's devices. It has no secret and uses PKCE."),
}
#: Group → permission without its prefix → what it allows.
PERMISSIONS: Mapping[str, Mapping[str, str]] = {
    "Profiles": {
        "profile_view": "Read profiles: what is proven of people.",
        "profile_view_all": "Read also what pages said of people without proof.",
        "profile_create": "Create profiles.",
        "profile_update": "Change profiles.",
        "profile_delete": "Delete profiles.",
        "profile_link": "Say which user a profile belongs to.",
        "profile_merge": "Merge and split profiles by hand.",
        "privacy_export": "Export everything that is stored of a person.",
    },
    "Events": {"event_create": "Send events as a server, whose words count as proven."},
    "Profile attributes": {
        "profile_schema_view": "Read the attributes.",
        "profile_schema_create": "Define attributes.",
        "profile_schema_update": "Change attributes.",
        "profile_schema_delete": "Delete attributes.",
    },
    "Unification rules": {
        "unification_rule_view": "Read the rules.",
        "unification_rule_create": "Create rules.",
        "unification_rule_update": "Change rules and switch them on and off.",
        "unification_rule_delete": "Delete rules.",
    },
    "Consent": {
        "consent_category_view": "Read the consent categories.",
        "consent_category_create": "Create categories.",
        "consent_category_update": "Change categories.",
        "consent_category_delete": "Delete categories.",
    },
    "Configuration": {
        "identity_view": "Read datasets, identity types and previews.",
        "identity_update": "Change datasets and identity types.",
        "admin_config_view": "Read applications, users, webhooks and the audit log.",
        "admin_config_update": "Change applications, users and webhooks.",
    },
}


def groups(known: tuple[str, ...]) -> dict[str, dict[str, tuple[str, str]]]:
    """Group → permission → its short name and what it allows; of the permissions that exist."""
    return {
        group: {
            f"{PREFIX}{word}": (word.replace("_", " "), sentence)
            for word, sentence in words.items()
            if f"{PREFIX}{word}" in known
        }
        for group, words in PERMISSIONS.items()
    }
