"""What an erasure changes of who verified what, queued for the datasets that record it.

    in `default`          the other datasets forget its users, and compare what the others have verified
    of a user elsewhere   the dataset compares what the others have verified: they may have it again

Invariants: it is queued in the transaction of the erasure. Source: docs/concepts/trust.md, "Erasure";
docs/decisions/0029-verifications-in-every-dataset.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from oneself.service.log.graph_part import GraphPart
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Transaction


async def queue_erased(
    transaction: Transaction, part: GraphPart, erased: Iterable[FragmentRow], forgotten: Collection[str]
) -> None:
    """Queue what an erasure changed.

    `part`: what it folded again. `erased`: the fragments that it took. `forgotten`: whose record it took.
    """
    left = await transaction.verified_claims.find(part.users, ())
    own = {user for row in erased if (user := row.fragment.own_user) is not None}
    gone = own - {user for user, _ in left}
    queue = transaction.verification_queue
    await queue.forget(gone)
    await queue.compare(part.users - gone)
    await queue.put_compared(part.verified_users.difference(forgotten))
