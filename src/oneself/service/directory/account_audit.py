"""Entries of the audit log about accounts that administrators create, change and delete.

Invariants: an entry names neither the account nor a value of it, so that an erasure has nothing to take from
the audit log. What people change of their own account has no entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from oneself.core.config.difference import SettingDifference
from oneself.service.acting import administrator
from oneself.service.audited import new_secret_of, put_audited
from oneself.store.directory import OrganisationTables

_SUBJECT = "account"
CREATED = (SettingDifference(_SUBJECT, "stored", 0, 1),)
DELETED = (SettingDifference(_SUBJECT, "stored", 1, 0),)
NEW_PASSWORD = (new_secret_of(_SUBJECT, "password"),)


async def put_account_change(tables: OrganisationTables, changed: Iterable[SettingDifference]) -> None:
    """Record what an administrator changed; nothing if no administrator acts."""
    if administrator() is not None:
        await put_audited(tables, "account", tuple(changed))


def account_differences(
    fields: Iterable[str], before: Collection[str], after: Collection[str]
) -> list[SettingDifference]:
    """What differs: fields that have other values, and the claims that were and are verified."""
    return [
        *(new_secret_of(_SUBJECT, field) for field in fields),
        *(
            SettingDifference(_SUBJECT, f"{claim}_verified", claim in before, claim in after)
            for claim in sorted({*before} ^ {*after})
        ),
    ]
