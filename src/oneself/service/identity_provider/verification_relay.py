"""The verification relay: every dataset keeps its own record of which users verified what.

    a user verifies in `default` ─▶ a row for each other dataset ─▶ an entry of its log, and owners

Invariants: a row is written by the transaction that verifies, and deleted by the one that appends to the log
of the dataset: none is lost, none is recorded twice. The rows of a dataset are taken in order, some at
a time, in a transaction that keeps the writers of the dataset out. Source: docs/concepts/trust.md, "Owner";
docs/decisions/0029-verifications-in-every-dataset.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import structlog

from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.owners import respelled
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.verification import ClaimVerification
from oneself.errors import OneselfError
from oneself.service.background import run_steps
from oneself.service.log.refold import forget_verified
from oneself.store import identity_graph
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.directory import Directory
from oneself.store.tables.log import VerificationEntry
from oneself.store.tables.verification_queue import QueuedChange
from oneself.store.transaction import Transaction, begin

if TYPE_CHECKING:
    from oneself.store.database import Database

_logger = structlog.get_logger("oneself.verifications")

#: How soon what users verify is recorded in the other datasets.
POLL_S = 1.0
#: Nothing else is written to a dataset while it records so many.
CHANGES_MAX = 50


class VerificationRelay:
    """Records in each dataset what users verified in the dataset `default`."""

    def __init__(self, database: Database, *, changes_max: int = CHANGES_MAX) -> None:
        self._database = database
        self._changes_max = changes_max
        self._directory = Directory(database)

    async def run(self) -> None:
        """Work until cancelled. Another process takes over what is interrupted."""
        await run_steps(self.step, POLL_S, _note_interruption)

    async def step(self) -> bool:
        """Record what is queued first, of each dataset; False if nothing was.

        A dataset whose record fails keeps its rows, and holds up no other dataset.
        """
        is_done = False
        for dataset_id in await self._directory.verification_queue.list_datasets():
            try:
                is_done |= await self._record_next(dataset_id)
            except OneselfError as error:
                cause = type(error).__name__
                _logger.warning("verifications_not_recorded", dataset_id=dataset_id, cause=cause)
        return is_done

    async def _record_next(self, dataset_id: int) -> bool:
        async with begin(self._database, dataset_id) as transaction:
            queue = transaction.verification_queue
            if not await queue.try_lock():
                return False
            await transaction.lock_config()
            queued = await queue.list_next(self._changes_max)
            if queued:
                await self._take(transaction, queued)
        return bool(queued)

    async def _take(self, transaction: Transaction, queued: Sequence[QueuedChange]) -> None:
        first, queue = queued[0], transaction.verification_queue
        if first.change == "all":
            await self._copy(transaction, first)
        elif first.change in ("forgotten", "compared"):
            act = forget_verified if first.change == "forgotten" else _compare
            await act(transaction, first.verification.user_id)
            await queue.delete([first.position])
        else:
            changes = [*takewhile(lambda item: item.change in ("verified", "given_up"), queued)]
            await _record(transaction, [item.verification for item in changes])
            await queue.delete(item.position for item in changes)

    async def _copy(self, transaction: Transaction, row: QueuedChange) -> None:
        """Record the next claims that are verified in `default` now.

        What changes there meanwhile is queued behind the row, and is recorded after it.
        """
        queue = transaction.verification_queue
        verified = await queue.list_verified(row.verification, self._changes_max)
        await _record(transaction, verified)
        if len(verified) < self._changes_max:
            await queue.delete([row.position])
        else:
            await queue.advance(row.position, verified[-1])


async def _compare(transaction: Transaction, user_id: str) -> None:
    """Record what a user has verified in `default` now, and that they gave up what else this dataset has."""
    verified = await transaction.verification_queue.find_verified(user_id)
    known = await transaction.verified_claims.find([user_id], ())
    given_up = [
        ClaimVerification(user_id=user_id, path=path, value=claim.value, is_verified=False)
        for (_, path), claim in known.items()
        if not any(item.value == claim.value and respelled(item.path, [path]) == path for item in verified)
    ]
    await _record(transaction, [*given_up, *verified])


async def _record(transaction: Transaction, verifications: Sequence[ClaimVerification]) -> None:
    """Append to the log what is new of these, and give owners to what servers began."""
    config = await transaction.config.find()
    rules = graph_rules(config)
    reach = graph_footprint([], config, rules, verifications=verifications)
    graph = await identity_graph.gather(transaction, reach, rules)
    clock = await transaction.read_clock()
    seq = max(clock.now, config.seq + 1, graph.latest_seq + 1)
    entries: list[VerificationEntry] = []
    for verification in verifications:
        if graph.record(verification, config, seq + len(entries)):
            entries.append(VerificationEntry(seq + len(entries), uuid.uuid4(), verification))
    await transaction.log.put_verifications(entries, config.version)
    observations = {entry.seq: entry.observation_id for entry in entries}
    recorder = ChangeRecorder(observations, entries[-1].observation_id) if entries else None
    await transaction.unreconciled_fragments.put(await identity_graph.save(transaction, graph, recorder))


def _note_interruption(error: OneselfError) -> None:
    _logger.warning("verification_relay_interrupted", cause=type(error).__name__)
