"""Judge the joins of the view `proven` again when a setting admits more of them.

A change of the settings lists its dataset. Here its profiles are looked at in the background, page by page:
those that something proven ties to another profile are computed again, with all that is tied to them.

Invariants: one transaction for each page, with an entry of the log that names the fragments, so that the
whole log folds to exactly this state. Any number of processes may review; a review that is interrupted goes
on where it was.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0034-changed-guards.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from uuid import UUID

import msgspec
import structlog

from oneself.core.fold.log_entry import Reviewed
from oneself.core.identity_graph.footprint import graph_footprint
from oneself.core.identity_graph.rules import graph_rules
from oneself.errors import OneselfError
from oneself.service.background import run_steps
from oneself.service.lost_races import repeat
from oneself.store import identity_graph
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.database import Database
from oneself.store.tables.fragment import HeadApart
from oneself.store.tables.join_review import JoinReviewProgress, list_unreviewed_datasets
from oneself.store.transaction import Transaction

_logger = structlog.get_logger("oneself.join_reviewer")

#: How often a process looks for changes of settings.
POLL_S = 2.0
#: How many profiles are looked at in one transaction, and how many of them are computed again at most.
PROFILES_PER_PAGE = 500
COMPUTED_PER_PAGE_MAX = 50
#: So many fragments are noted as done: of profiles that are tied together, each leads to all.
DONE_MAX = 200_000


class _Page(msgspec.Struct, frozen=True):
    """What became of one page."""

    #: The change of the settings that the review follows.
    seq: int
    computed: frozenset[UUID] = frozenset()
    is_last: bool = False


class JoinReviewer:
    """Judges joins again after changes of settings.

    `on_unreconciled`: called when fragments are listed that are to be reconciled in the view `all`.
    """

    def __init__(
        self,
        database: Database,
        on_unreconciled: Callable[[], None] = lambda: None,
        *,
        profiles_per_page: int = PROFILES_PER_PAGE,
        computed_per_page_max: int = COMPUTED_PER_PAGE_MAX,
    ) -> None:
        self._database = database
        self._on_unreconciled = on_unreconciled
        self._profiles_per_page = profiles_per_page
        self._computed_per_page_max = computed_per_page_max
        #: Dataset and change of its settings → the fragments that are done.
        self._done: dict[tuple[int, int], frozenset[UUID]] = {}

    async def run(self) -> None:
        """Review what is listed until cancelled."""
        await run_steps(self.step, POLL_S, _note_interruption)

    async def step(self) -> bool:
        """Review the next page of each dataset that is listed; False if there was none."""
        busy = False
        # One page of each in turn: a large dataset does not keep the others waiting.
        for dataset_id in await list_unreviewed_datasets(self._database):
            page = await repeat(self._database, dataset_id, self._review_page)
            if page is not None:
                busy = True
                self._note_done(dataset_id, page)
        return busy

    async def _review_page(self, transaction: Transaction) -> _Page | None:
        """Review the next profiles of a dataset; None if nothing is listed or another process does."""
        reviews = transaction.join_reviews
        if not await reviews.try_lock():
            return None
        progress = await reviews.find()
        if progress is None:
            return None
        listed = await transaction.fragments.list_heads_apart(progress.after_id, self._profiles_per_page)
        if not listed:
            await reviews.finish(progress.seq)
            return _Page(progress.seq, is_last=True)
        done = self._done.get((transaction.dataset_id, progress.seq), frozenset[UUID]())
        heads = _cut(listed, done, self._computed_per_page_max)
        computed = await self._compute(
            transaction, {item.fragment_id for item in heads if item.is_apart} - done
        )
        await reviews.advance(JoinReviewProgress(progress.seq, heads[-1].fragment_id))
        return _Page(progress.seq, frozenset(computed))

    def _note_done(self, dataset_id: int, page: _Page) -> None:
        """Note what is done, once that is committed."""
        key = dataset_id, page.seq
        known = self._done.pop(key, frozenset[UUID]())
        if not page.is_last:
            self._done[key] = known | page.computed if len(known) < DONE_MAX else page.computed

    async def _compute(self, transaction: Transaction, heads: Collection[UUID]) -> set[UUID]:
        """Compute profiles again, with all that is tied to them; returns the fragments."""
        if not heads:
            return set()
        # Nobody changes the configuration meanwhile.
        await transaction.lock_identifiers(())
        config = await transaction.config.find()
        rules = graph_rules(config)
        graph = await identity_graph.gather(
            transaction, graph_footprint([], config, rules, joined=heads), rules
        )
        clock = await transaction.read_clock()
        seq = max(clock.now, config.seq + 1, graph.latest_seq + 1)
        graph.review(heads, seq)
        review_id = uuid.uuid4()
        unreconciled = await identity_graph.save(transaction, graph, ChangeRecorder({}, review_id))
        reviewed = Reviewed(tuple(sorted(graph.reviewed)))
        await transaction.log.put_review(seq, review_id, reviewed, config.version)
        await transaction.unreconciled_fragments.put(unreconciled)
        if unreconciled:
            self._on_unreconciled()
        return graph.reviewed


def _cut(page: list[HeadApart], done: Collection[UUID], computed_max: int) -> list[HeadApart]:
    """The first profiles of a page, of which not too many are to be computed."""
    computed = 0
    for number, item in enumerate(page, 1):
        computed += item.is_apart and item.fragment_id not in done
        if computed == computed_max:
            return page[:number]
    return page


def _note_interruption(error: OneselfError) -> None:
    _logger.warning("join_review_interrupted", cause=type(error).__name__)
