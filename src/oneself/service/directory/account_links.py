"""Links that mails carry: made with the mail, found by their secret, used once.

Invariants: the secret of a link is stored as its digest. A link stays for a while after it was used or
expired, so that its page can say so.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Literal
from uuid import UUID

from oneself.service.context import DatasetRef
from oneself.service.crypto import digest, new_token
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.account_link import LinkRow
from oneself.store.tables.delivery import DueDelivery

#: Why a link cannot be used. `moved`: the account has another address by now. `not_accepted`: nobody verifies
#: by mail in the organisation any more.
LinkProblem = Literal["unknown", "used", "expired", "moved", "not_accepted"]


async def make_link(
    tables: DirectoryTables, mail: DueDelivery, purpose: str, user_id: UUID, address: str
) -> str:
    """Make the link of a mail, with its life, and return its secret."""
    secret = new_token()
    await tables.of(mail.org_id).account_links.put(
        digest(secret), purpose, user_id, address, mail.facts, mail.created_at, mail.expires_at
    )
    return secret


async def find_link(
    directory: Directory, dataset_ref: DatasetRef, secret: str, purposes: Collection[str]
) -> LinkRow | LinkProblem:
    """What a link is for, or why it cannot be used."""
    row = await directory.of(dataset_ref.org_id).account_links.find(digest(secret))
    if row is None or row.purpose not in purposes:
        return "unknown"
    if row.used_at is not None:
        return "used"
    return "expired" if row.expires_at <= time.time_ns() // 1000 else row
