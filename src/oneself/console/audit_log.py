"""Organisation → Audit log: who changed what, and when."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.console.context import ConsoleContext, console_context, requires
from oneself.console.formats import base_url, value_text
from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.profile_words import interface_of
from oneself.console.query import query_number
from oneself.core.config.difference import SettingDifference
from oneself.core.units import SEQ_MAX
from oneself.service.log.audit import AuditEntry
from oneself.web.forms import AnyRequest

ENTRIES_PER_PAGE = 50
#: A database counts the entries before a page; nobody turns so many pages.
OFFSET_MAX = 100_000
KINDS: Mapping[str, str] = {
    "configure": "Settings changed",
    "erase": "People erased",
    "verify": "Claims verified",
    "split": "Profile split",
    "merge": "Profiles merged",
    "organisation": "Organisation created",
    "dataset": "Dataset created or deleted",
    "account": "User account changed",
    "console_user": "Console user changed",
    "application": "Application changed",
    "issuer": "Trusted issuer changed",
    "identity_server": "Identity server changed",
    "signing_key": "Signing key replaced",
    "token_key": "Token key changed",
    "webhook": "Webhook changed",
    "code_webhook": "Webhook for codes changed",
}


class ListedDifference(msgspec.Struct, frozen=True):
    """What was changed, in words. `before` and `after`: empty: there was nothing, or there is nothing."""

    name: str
    before: str
    after: str


class ListedEntry(msgspec.Struct, frozen=True):
    """An entry as the page shows it. `at`: in µs since 1970."""

    at: int
    what: str
    details: str
    who: str
    dataset: str
    differences: list[ListedDifference]


@page_at("/audit", requires("see_audit_log"))
async def audit_log(request: AnyRequest) -> Response[Any]:
    """List what was done, the last first."""
    context, offset = console_context(request), min(query_number(request, "offset"), OFFSET_MAX)
    found = await context.services.log.audit.list_entries(
        context.dataset_ref, 0, SEQ_MAX, limit=ENTRIES_PER_PAGE + 1, offset=offset
    )
    further = ""
    if len(found) > ENTRIES_PER_PAGE:
        further = f"{context.home}/audit?{urlencode({'offset': offset + ENTRIES_PER_PAGE})}"
    return page(
        context,
        "audit_log.html",
        entries=[_listed(entry) for entry in found[:ENTRIES_PER_PAGE]],
        further=further,
        start=f"{context.home}/audit" if offset else "",
        api=_request(context),
    )


def _request(context: ConsoleContext) -> str:
    """The request that answers the same; it takes the credentials of an application."""
    url = f"{base_url(context)}/t/{context.dataset_ref.handle}/api/audit/list"
    return f'curl -u "$CLIENT_ID:$CLIENT_SECRET" {shlex.quote(url)}'


def _listed(entry: AuditEntry) -> ListedEntry:
    who = entry.console_user or entry.application or ""
    through = interface_of(entry.interface)
    return ListedEntry(
        entry.at,
        KINDS.get(entry.kind, entry.kind),
        _details(entry),
        f"{who} ({through})" if who and through else who or through,
        entry.dataset,
        [_difference(item) for item in entry.differences],
    )


def _difference(item: SettingDifference) -> ListedDifference:
    name = f"{item.subject}: {item.name.replace('_', ' ')}"
    return ListedDifference(name, _value(item.before), _value(item.after))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value in (None, "", [], {}) else value_text(value)


def _details(entry: AuditEntry) -> str:
    match entry.kind:
        case "configure":
            return ", ".join(word.removeprefix("put_").replace("_", " ") for word in entry.changes)
        case "erase":
            return f"{entry.profiles} profile{'' if entry.profiles == 1 else 's'}"
        case "verify":
            return ", ".join(
                claim if is_verified else f"{claim}: no longer" for claim, is_verified in entry.claims.items()
            )
        case "split" | "merge":
            return f"{entry.parts} parts"
        case _:
            return ""


ROUTES = (audit_log,)
