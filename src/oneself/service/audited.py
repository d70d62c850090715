"""Entries of the audit log about what belongs to an organisation rather than to a dataset.

Invariants: an entry is written in the transaction of the change. It never contains a password, a secret, or a
digest of one: it says that there is a new one.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from oneself.core.config.difference import SettingDifference
from oneself.service.acting import named_or_acting
from oneself.service.context import ADMINISTRATOR, Actor
from oneself.store.directory import OrganisationTables
from oneself.store.tables.audit import AuditedKind

#: What stands for a secret that is new.
REPLACED = "replaced"


async def put_audited(
    tables: OrganisationTables,
    kind: AuditedKind,
    differences: Sequence[SettingDifference],
    actor: Actor = ADMINISTRATOR,
) -> None:
    """Record what changed; nothing if nothing did. `actor`: if it has no name, who acts in this task."""
    if differences:
        content = {**actor_content(named_or_acting(actor)), "difference": msgspec.to_builtins(differences)}
        await tables.audit.put(time.time_ns() // 1000, uuid.uuid4(), kind, content)


def new_secret_of(subject: str, name: str = "secret") -> SettingDifference:
    """Say that a thing has a new secret."""
    return SettingDifference(subject, name, None, REPLACED)


def actor_content(actor: Actor) -> dict[str, Any]:
    """Who acted, as entries of the log name them."""
    content = {"face": actor.interface, "application": actor.application, "console_user": actor.console_user}
    return {name: value for name, value in content.items() if value is not None}
