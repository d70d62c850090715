"""Unification rules: define them, and apply them to the profiles that exist.

Invariants: a rule acts on every write from the moment it is active. Profiles from before are reindexed in the
background, page by page, each through the one write path, so that a crash or a concurrent write does not
change the outcome. `preview` says what a rule would do. Source: docs/wire/cds.md §9.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec
import structlog

from oneself.core.config.changes import ConfigChange, DropRule, PutRule, Several
from oneself.core.config.configuration import Config
from oneself.core.config.rule_checks import check_rule
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.reindex import ReindexJob, find_job
from oneself.errors import OneselfError, PreconditionFailed
from oneself.service.background import run_steps
from oneself.service.configuration import Configurations, PlannedChange
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import ObservationRejected, Submission
from oneself.service.rules.admitted_later import AdmittedLater
from oneself.service.rules.former_values import unindexed_former
from oneself.service.rules.stored_values import unindexed
from oneself.store.database import Database
from oneself.store.reindex_queue import IndexedProfile, ReindexQueue, open_queue
from oneself.store.tables.log import BEGINNING
from oneself.store.tables.reindex_job import LeasedJob, ReindexProgress, lease_job
from oneself.store.transaction import Tables, Transaction

_logger = structlog.get_logger("oneself.rules")

#: One page is one batch of the write path.
PROFILES_PER_PAGE = 500
#: A page ends before the profile with which it would have more identifiers, so that it is committed within a
#: lease, however many values a profile has.
IDENTIFIERS_PER_PAGE_MAX = 5_000
#: Duration of a lease. A worker that has not renewed it within this time is presumed dead.
LEASE_S = 30
#: The same while the profiles are put in order: ten million take minutes.
ORDERING_LEASE_S = 600
#: How often a process looks for jobs that another process started or left.
POLL_S = 2.0


class UnknownRule(OneselfError):
    """There is no rule with this id in the organisation."""


_CLIENT = Actor("cds")
#: Before the id of every fragment.
_BEFORE_ALL = UUID(int=0)
#: How often to ask whether other workers have finished.
AWAITED_POLL_S = 0.2


class Rules:
    """The use-cases of unification rules."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def list_rules(self, dataset_ref: DatasetRef) -> list[UnificationRule]:
        """Every rule, in the order of priority."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return sorted(config.rules.values(), key=lambda rule: (rule.priority, rule.rule_id))

    async def find(self, dataset_ref: DatasetRef, rule_id: str) -> UnificationRule:
        """One rule; raises UnknownRule."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return _known(config, rule_id)

    async def create(
        self, dataset_ref: DatasetRef, draft: UnificationRule, *, actor: Actor = _CLIENT
    ) -> UnificationRule:
        """Add a rule, with an id of ours. Raises rule_checks.RuleRejected."""
        return await self._put(dataset_ref, plan_rule(draft), actor)

    async def change(
        self,
        dataset_ref: DatasetRef,
        rule_id: str,
        *,
        actor: Actor = _CLIENT,
        expected: UnificationRule | None = None,
        **changes: Any,
    ) -> UnificationRule:
        """Change name, priority, activity or what it proves.

        `expected`: the rule as the caller knows it. Raises UnknownRule, rule_checks.RuleRejected,
        PreconditionFailed if it is another by now.
        """
        return await self._put(dataset_ref, plan_rule_change(rule_id, expected, **changes), actor)

    async def move(
        self, dataset_ref: DatasetRef, rule_id: str, steps: int, *, actor: Actor = _CLIENT
    ) -> None:
        """Exchange the priority of a rule with that of the one so many steps further down.

        A negative number: further up. Beyond the first or last, nothing happens. Raises UnknownRule.
        """

        def exchange(config: Config) -> ConfigChange | None:
            known = _known(config, rule_id)
            ordered = sorted(config.rules.values(), key=lambda rule: rule.priority)
            position = ordered.index(known) + steps
            if not 0 <= position < len(ordered) or ordered[position] == known:
                return None
            other = ordered[position]
            moved = msgspec.structs.replace(known, priority=other.priority)
            return Several((PutRule(moved), PutRule(msgspec.structs.replace(other, priority=known.priority))))

        await self._configurations.change(dataset_ref.dataset_id, exchange, **actor.author)

    async def delete(self, dataset_ref: DatasetRef, rule_id: str, *, actor: Actor = _CLIENT) -> None:
        """Delete a rule, if it exists. Existing merges are kept."""

        def drop(config: Config) -> ConfigChange | None:
            return DropRule(rule_id) if rule_id in config.rules else None

        async def cancel(transaction: Transaction, _: Config) -> None:
            await transaction.reindex_jobs.cancel(rule_id)

        await self._configurations.change(dataset_ref.dataset_id, drop, also=cancel, **actor.author)

    async def progress(self, dataset_ref: DatasetRef) -> list[ReindexProgress]:
        """How far each rule has been applied to the profiles that existed."""
        return await Tables(self._database, dataset_ref.dataset_id).reindex_jobs.find_progress()

    async def _put(self, dataset_ref: DatasetRef, planned: PlannedRule, actor: Actor) -> UnificationRule:
        change = planned.change
        await self._configurations.change(
            dataset_ref.dataset_id, change.decide, also=change.also, **actor.author
        )
        return planned.made[-1]


class PlannedRule(msgspec.Struct, frozen=True):
    """A rule that is added or changed."""

    change: PlannedChange
    #: The rule, once the change is decided.
    made: list[UnificationRule]


def plan_rule(draft: UnificationRule) -> PlannedRule:
    """Add a rule, with an id of ours. Raises rule_checks.RuleRejected when it is decided."""
    rule = msgspec.structs.replace(draft, rule_id=str(uuid.uuid4()))
    return _plan(lambda config: rule)


def plan_rule_change(rule_id: str, expected: UnificationRule | None = None, **changes: Any) -> PlannedRule:
    """Change a rule. `expected`: as the caller knows it.

    Raises UnknownRule, rule_checks.RuleRejected and PreconditionFailed when it is decided.
    """

    def changed(config: Config) -> UnificationRule:
        known = _known(config, rule_id)
        if expected not in (None, known):
            raise PreconditionFailed("The rule was changed in the meantime.")
        return msgspec.structs.replace(known, **changes)

    return _plan(changed)


def _plan(make: Callable[[Config], UnificationRule]) -> PlannedRule:
    made: list[UnificationRule] = []

    def put(config: Config) -> ConfigChange | None:
        rule = make(config)
        check_rule(config, rule)
        made.append(rule)
        return PutRule(rule) if rule != config.rules.get(rule.rule_id) else None

    async def cancel(transaction: Transaction, _: Config) -> None:
        if not made[-1].is_active:
            await transaction.reindex_jobs.cancel(made[-1].rule_id)

    return PlannedRule(PlannedChange(put, cancel), made)


def _known(config: Config, rule_id: str) -> UnificationRule:
    rule = config.rules.get(rule_id)
    if rule is None:
        raise UnknownRule("No unification rule found.")
    return rule


class Reindexer:
    """Applies rules to the profiles that exist, in the background; any number of processes may."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        ingest: Ingest,
        admitted_later: AdmittedLater,
        *,
        profiles_per_page: int = PROFILES_PER_PAGE,
        identifiers_per_page_max: int = IDENTIFIERS_PER_PAGE_MAX,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._ingest = ingest
        self._admitted_later = admitted_later
        self._profiles_per_page = profiles_per_page
        self._identifiers_per_page_max = identifiers_per_page_max

    async def run(self) -> None:
        """Look for jobs until cancelled. Another worker continues an unfinished job."""
        await run_steps(self.step, POLL_S, _note_interruption)

    async def step(self) -> bool:
        """Work on one job until it is finished; False if there is none."""
        job = await lease_job(self._database, LEASE_S)
        if job is None:
            return False
        await self._index(job)
        return True

    async def finish(self, dataset_ref: DatasetRef, progress: Callable[[int, int], None]) -> None:
        """Do or await all the work on a dataset; `progress` is called with the profiles (seen, all)."""
        jobs = Tables(self._database, dataset_ref.dataset_id).reindex_jobs
        while True:
            found = await jobs.find_progress()
            progress(sum(job.seen for job in found), sum(job.total for job in found))
            if all(job.state != "running" for job in found):
                return
            if not await self.step():
                await asyncio.sleep(AWAITED_POLL_S)

    async def _index(self, job: LeasedJob) -> None:
        """Continue where the last worker stopped until all is done, or the lease is lost to another one."""
        work = find_job(await self._configurations.current(job.dataset_id), job.job_id)
        jobs = Tables(self._database, job.dataset_id).reindex_jobs
        left: LeasedJob | None = job
        if work is not None:
            # Long enough to put the profiles in order.
            left = await jobs.put_progress(job, ORDERING_LEASE_S)
        if left is not None and work is not None and work.namespace != LEGACY_ID:
            left = await self._read_dropped(left, work.namespace)
        if work is not None and left is not None:
            async with open_queue(self._database, job, work.source) as queue:
                left = await self._index_pages(queue, left)
            if left is not None and work.namespace != LEGACY_ID:
                left = await self._index_fragments(left)
        if left is not None:
            await jobs.finish(left)

    async def _read_dropped(self, job: LeasedJob, namespace: str) -> LeasedJob | None:
        """Read again what was named in a namespace and dropped. Returns as `_index_pages`."""
        jobs, after = Tables(self._database, job.dataset_id).reindex_jobs, BEGINNING
        left: LeasedJob | None = job
        while left is not None:
            page = await self._admitted_later.read_page(job.dataset_id, after, namespace)
            # A page is folded with all that is tied to it.
            left = await jobs.put_progress(left, ORDERING_LEASE_S)
            if page is None:
                break
            after = page.last
        return left

    async def _index_pages(self, queue: ReindexQueue, job: LeasedJob) -> LeasedJob | None:
        """Page after page; the job at the end, None if its lease is lost."""
        jobs = Tables(self._database, job.dataset_id).reindex_jobs
        left: LeasedJob | None = job
        limit = self._profiles_per_page
        while left is not None:
            config = await self._configurations.current(job.dataset_id)
            work = find_job(config, job.job_id)
            if work is None:
                break
            found = await queue.list_after(left.after, work.source, work.namespace, limit)
            page = _cut(found, work, self._identifiers_per_page_max)
            if not page:
                break
            # What was cut off is read again: no more of it than the page had.
            limit = min(self._profiles_per_page, 2 * len(page))
            observations = work.observations(_concerned(page), config, uuid.uuid4)
            merged = [await outcome for outcome in self._submit(job.dataset_id, observations)]
            passed = msgspec.structs.replace(left, after=page[-1].position)
            left = await jobs.put_progress(
                passed, LEASE_S, seen=len(page), indexed=len(merged), merged=sum(merged)
            )
        return left

    async def _index_fragments(self, job: LeasedJob) -> LeasedJob | None:
        """Index what servers said of fragments whose believed profile has another value, or none, and what
        they had said before.

        A fragment's own values identify, whether a view shows them or not. Returns as `_index_pages`.
        """
        tables, after = Tables(self._database, job.dataset_id), _BEFORE_ALL
        left: LeasedJob | None = job
        while left is not None:
            config = await self._configurations.current(job.dataset_id)
            work = find_job(config, job.job_id)
            if work is None:
                break
            source = work.source
            rows = await tables.fragments.list_writing(source.keys[0], after, self._profiles_per_page)
            if not rows:
                break
            after = rows[-1].fragment.fragment_id
            having = [row for row in rows if source.keys[0] in row.values.get(source.scope, {})]
            observations = await unindexed(tables, having, source, config)
            observations += await unindexed_former(tables, rows, source, config)
            for start in range(0, len(observations) or 1, self._identifiers_per_page_max):
                part = observations[start : start + self._identifiers_per_page_max]
                merged = [await outcome for outcome in self._submit(job.dataset_id, part)]
                if left is not None:
                    left = await tables.reindex_jobs.put_progress(left, LEASE_S, merged=sum(merged))
        return left

    def _submit(self, dataset_id: int, observations: Iterable[Observation]) -> list[asyncio.Task[int]]:
        """Hand observations to the write path, all at once, in order."""
        return [
            asyncio.create_task(self._ingest_one(dataset_id, observation)) for observation in observations
        ]

    async def _ingest_one(self, dataset_id: int, observation: Observation) -> int:
        """How many profiles were absorbed; none if the profile is gone meanwhile."""
        try:
            resolution = await self._ingest.submit(dataset_id, Submission(observation))
        except ObservationRejected:
            return 0
        return len(resolution.plan.merges) if resolution.plan else 0


def _cut(page: list[IndexedProfile], work: ReindexJob, identifiers_max: int) -> list[IndexedProfile]:
    """The first profiles of a page, at least one, with at most `identifiers_max` identifiers."""
    identifiers = 0
    for number, profile in enumerate(page):
        identifiers += work.count_identifiers(profile)
        if number and identifiers > identifiers_max:
            return page[:number]
    return page


def _concerned(page: list[IndexedProfile]) -> Iterator[tuple[UUID, IndexedProfile]]:
    """The survivors of a page that may hold a value of the job's source, each once."""
    survivors = {profile.survivor_id: profile for profile in page}
    return ((survivor_id, profile) for survivor_id, profile in survivors.items() if profile.is_concerned)


def _note_interruption(error: OneselfError) -> None:
    _logger.warning("indexing_interrupted", cause=type(error).__name__)
