"""Whose identity attributes go first in a stored view: those in its user's own fragment.

A replay reads them from all fragments. Here they are looked up for views that one more step is applied to.

Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from oneself.core.identity_graph.fragment import Fragment, Write
from oneself.core.identity_graph.replay import Item, own_identity
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.record import Path
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Transaction


async def find_own_identity(
    transaction: Transaction,
    profiles: Iterable[ViewRow],
    items: Iterable[tuple[Fragment, Item]],
    changed: Mapping[UUID, Fragment],
) -> dict[str | None, frozenset[Path]]:
    """User of a profile → the identity attributes that others do not show there.

    `profiles`: locked. `items`: what is about to be applied to them. `changed`: what the batch has changed.
    Nothing is read unless fragments that are not a user's own say identity attributes.
    """
    users = {row.user_id for row in profiles if row.user_id is not None}
    if not users or not any(_says_identity(*item) for item in items):
        return {}
    stored = await transaction.fragments.find((), users)
    own = (changed.get(row.fragment.fragment_id, row.fragment) for row in stored)
    return {fragment.user_id: own_identity((fragment,)) for fragment in own}


def _says_identity(writer: Fragment, item: Item) -> bool:
    return isinstance(item, Write) and item.path[0] == IDENTITY_ATTRIBUTES and writer.own_user is None
