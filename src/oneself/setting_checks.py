"""Checks settings that depend on each other, or whose form one type does not say.

Lives here: sentences about settings. Must not know: where a setting comes from.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oneself.core.identity_graph.joins import VIEWS
from oneself.errors import SettingsError

if TYPE_CHECKING:
    from oneself.settings import Settings

ENVIRONMENT_PREFIX = "ONESELF_"


def check_settings(settings: Settings) -> Settings:
    """The settings, if they are valid together. Raises SettingsError."""
    _require_both(settings, "sync_username", "sync_password")
    _require_both(settings, "introspection_username", "introspection_password")
    _require_both(settings, "bootstrap_client_id", "bootstrap_client_secret")
    _require_both(settings, "smtp_url", "mail_from")
    _require_both(settings, "identity_server_client_id", "identity_server_client_secret")
    if settings.identity_server_url and not settings.identity_server_client_id:
        raise SettingsError("ONESELF_IDENTITY_SERVER_URL requires ONESELF_IDENTITY_SERVER_CLIENT_ID.")
    if settings.introspection_path and not settings.introspection_path.startswith("/"):
        raise SettingsError("ONESELF_INTROSPECTION_PATH must start with a slash.")
    for name in ("bootstrap_client_id", "bootstrap_admin_password"):
        if getattr(settings, name) and not settings.bootstrap_org:
            raise SettingsError(f"{ENVIRONMENT_PREFIX}{name.upper()} requires ONESELF_BOOTSTRAP_ORG.")
    for name in ("public_url", "identity_server_url"):
        url = getattr(settings, name)
        if url and not re.match(r"https?://[^/\s]+", url):
            raise SettingsError(f"{ENVIRONMENT_PREFIX}{name.upper()} must start with http:// or https://.")
    if settings.database_url and not re.match(r"postgres(ql)?://", settings.database_url):
        raise SettingsError(
            "ONESELF_DATABASE_URL is not a valid connection string: it must start with postgresql://, as in "
            "postgresql://user:password@host:5432/database."
        )
    _check_nats(settings)
    if unknown := [word for word in settings.outgoing_networks if not _is_network(word)]:
        raise SettingsError(
            f"ONESELF_OUTGOING_NETWORKS has {unknown[0]!r}: write public, private, loopback, or a network "
            "such as 10.1.0.0/16."
        )
    return settings


def _is_network(word: str) -> bool:
    try:
        return word in ("public", "private", "loopback") or ("/" in word and bool(ip_network(word)))
    except ValueError:
        return False


def _check_nats(settings: Settings) -> None:
    _require_both(settings, "nats_tls_certificate", "nats_tls_key")
    if not all(map(_is_nats, settings.nats_urls)):
        raise SettingsError(
            "ONESELF_NATS_URL is not a valid address: it must be nats:// or tls:// with a host, as in "
            "nats://user:password@host:4222. Write special characters of a password percent-encoded."
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", settings.nats_stream):
        raise SettingsError("ONESELF_NATS_STREAM must have 1 to 64 letters, digits, - or _.")
    if not settings.nats_views or not set(settings.nats_views) <= set(VIEWS):
        raise SettingsError(f"ONESELF_NATS_VIEWS must name some of: {', '.join(VIEWS)}.")


def _is_nats(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _require_both(settings: Settings, first: str, second: str) -> None:
    if bool(getattr(settings, first)) != bool(getattr(settings, second)):
        a, b = (ENVIRONMENT_PREFIX + name.upper() for name in (first, second))
        raise SettingsError(f"{a} and {b} must be set together: set both or neither.")
