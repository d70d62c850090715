"""Unification rules: define them, and apply them to the profiles that exist (wire/cds §9).

Law of this module: a rule acts on every write from the moment it is active; the profiles that were there
before are indexed in the background, page by page, each through the one write path, so that a crash or a
concurrent write changes nothing about the outcome. What it would do is in `preview`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import structlog

from oneself.core.config.changes import ConfigChange, DropRule, PutRule
from oneself.core.config.configuration import Config
from oneself.core.config.rule_checks import check_rule
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource, UnificationRule
from oneself.core.identity.identity_type import LEGACY_ID, LEGACY_ID_JOB
from oneself.core.resolution.evidence import unindexed_identifiers
from oneself.core.resolution.observation import ClaimsReport, Observation, Reindex
from oneself.core.values.record import read
from oneself.errors import OneselfError
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.ingest.ingest import Ingest, ObservationRejected, Submission
from oneself.store import rows
from oneself.store.database import Database, connect
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("rules.sql")
_logger = structlog.get_logger("oneself.rules")

#: One page is one batch of the write path.
PROFILES_PER_PAGE = 500
#: A worker that says nothing for so long is taken for dead.
LEASE_S = 30
#: Putting ten million profiles in order takes minutes.
ORDERING_LEASE_S = 600
#: How often a process looks for work that another one left, or that another one's request made.
POLL_S = 2.0

_START = UUID(int=0)


class UnknownRule(OneselfError):
    """There is no rule with this id in the organisation."""


class ReindexProgress(msgspec.Struct, frozen=True):
    """How far a rule has been applied to the profiles that existed. Instants in µs since 1970.

    `state`: running, done or cancelled; `seen` of about `total` profiles were looked at, `indexed` held a
    value, `merged` were absorbed.
    """

    rule_id: str
    state: str
    seen: int
    indexed: int
    merged: int
    total: int
    started_at: int
    updated_at: int


#: Others are at it: how often to ask whether they have finished.
AWAITED_POLL_S = 0.2


class Rules:
    """The use-cases of unification rules."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def list_rules(self, dataset_ref: DatasetRef) -> list[UnificationRule]:
        """Every rule, the one that goes first in front."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return sorted(config.rules.values(), key=lambda rule: (rule.priority, rule.rule_id))

    async def find(self, dataset_ref: DatasetRef, rule_id: str) -> UnificationRule:
        """One rule; raises UnknownRule."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return _known(config, rule_id)

    async def create(self, dataset_ref: DatasetRef, draft: UnificationRule) -> UnificationRule:
        """Add a rule, with an id of ours. Raises rule_checks.RuleRejected."""
        rule = msgspec.structs.replace(draft, rule_id=str(uuid.uuid4()))
        await self._put(dataset_ref, lambda config: rule)
        return rule

    async def change(self, dataset_ref: DatasetRef, rule_id: str, **changes: Any) -> UnificationRule:
        """Change name, priority or activity. Raises UnknownRule, rule_checks.RuleRejected."""

        def changed(config: Config) -> UnificationRule:
            return msgspec.structs.replace(_known(config, rule_id), **changes)

        return await self._put(dataset_ref, changed)

    async def delete(self, dataset_ref: DatasetRef, rule_id: str) -> None:
        """Remove a rule, if it is there; what it joined stays joined."""

        def drop(config: Config) -> ConfigChange | None:
            return DropRule(rule_id) if rule_id in config.rules else None

        async def cancel(connection: Connection, _: Config) -> None:
            await connection.execute(_sql.cancel_indexing, dataset_ref.dataset_id, rule_id)

        await self._configurations.change(dataset_ref.dataset_id, drop, also=cancel)

    async def progress(self, dataset_ref: DatasetRef) -> list[ReindexProgress]:
        """How far each rule has been applied to the profiles that existed."""
        found = await self._database.fetch(_sql.find_indexing, dataset_ref.dataset_id)
        return [ReindexProgress(**{**dict(row), "total": max(row["total"], row["seen"])}) for row in found]

    async def _put(self, dataset_ref: DatasetRef, make: Any) -> UnificationRule:
        made: list[UnificationRule] = []

        def put(config: Config) -> ConfigChange | None:
            rule: UnificationRule = make(config)
            check_rule(config, rule)
            made.append(rule)
            return PutRule(rule) if rule != config.rules.get(rule.rule_id) else None

        async def cancel(connection: Connection, _: Config) -> None:
            if not made[-1].is_active:
                await connection.execute(_sql.cancel_indexing, dataset_ref.dataset_id, made[-1].rule_id)

        await self._configurations.change(dataset_ref.dataset_id, put, also=cancel)
        return made[-1]


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
        *,
        profiles_per_page: int = PROFILES_PER_PAGE,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._ingest = ingest
        self._profiles_per_page = profiles_per_page

    async def run(self) -> None:
        """Look for work, for ever; cancel to stop. What was begun is taken up by whoever comes next."""
        while True:
            try:
                busy = await self.step()
            except OneselfError as error:
                _logger.warning("indexing_interrupted", cause=type(error).__name__)
                busy = False
            if not busy:
                await asyncio.sleep(POLL_S)

    async def step(self) -> bool:
        """Do one piece of work to its end; False if there is none."""
        job = await self._database.fetchrow(_sql.lease_indexing, LEASE_S)
        if job is None:
            return False
        await self._index(job["dataset_id"], job["rule_id"], job)
        return True

    async def finish(self, dataset_ref: DatasetRef, progress: Callable[[int, int], None]) -> None:
        """Do or await all the work on a dataset; `progress` hears of profiles (seen, all)."""
        while True:
            found = await self._database.fetch(_sql.find_indexing, dataset_ref.dataset_id)
            running = [row for row in found if row["state"] == "running"]
            progress(sum(row["seen"] for row in found), sum(max(row["total"], row["seen"]) for row in found))
            if not running:
                return
            if not await self.step():
                await asyncio.sleep(AWAITED_POLL_S)

    async def _index(self, dataset_id: int, work_id: str, job: Any) -> None:
        """Go on from where somebody stopped until all is done, or the lease is gone: then others go on."""
        place = job["after_since"] or 0, job["after_id"] or _START
        lease = job["lease_until"]
        work = _reindex_job(await self._configurations.current(dataset_id), work_id)
        if work is not None:
            lease = await self._keep(dataset_id, work_id, place, lease)
        if work is not None and lease is not None:
            async with self._walk(dataset_id, work, place, job["started_at"]) as connection:
                lease = await self._pages(connection, dataset_id, work_id, place, lease)
        if lease is not None:
            await self._database.execute(_sql.end_indexing, dataset_id, work_id, lease)

    async def _keep(self, dataset_id: int, work_id: str, place: tuple[int, UUID], lease: Any) -> Any:
        """The lease, long enough to put the profiles in order; None if it is gone."""
        return await self._database.fetchval(
            _sql.put_progress, dataset_id, work_id, *place, 0, 0, 0, ORDERING_LEASE_S, lease
        )

    @asynccontextmanager
    async def _walk(
        self, dataset_id: int, work: ReindexJob, place: tuple[int, UUID], since: int
    ) -> AsyncIterator[Connection]:
        """A connection that knows the profiles to look at, in the order in which their values came:
        a rule that is made later then joins the same profiles, and the same one holds a contested value."""
        connection = await connect(self._database.url)
        try:
            await connection.execute(_sql.begin_walk)
            leaves = [".".join(work.match.path[:depth]) for depth in range(1, len(work.match.path) + 1)]
            await connection.execute(_sql.put_unindexed, dataset_id, *place, leaves, since)
            yield connection
        finally:
            await connection.close()

    async def _pages(
        self, connection: Connection, dataset_id: int, work_id: str, place: tuple[int, UUID], lease: Any
    ) -> Any:
        """Page after page; the lease at the end, None if it is gone."""
        while lease is not None:
            work = _reindex_job(await self._configurations.current(dataset_id), work_id)
            page = await self._page(connection, dataset_id, work, place) if work is not None else []
            if work is None or not page:
                break
            merged = [await outcome for outcome in self._submit(dataset_id, page, work)]
            place = page[-1]["since"], page[-1]["profile_id"]
            counts = len(page), len(merged), sum(merged)
            lease = await self._database.fetchval(
                _sql.put_progress, dataset_id, work_id, *place, *counts, LEASE_S, lease
            )
        return lease

    async def _page(
        self, connection: Connection, dataset_id: int, work: ReindexJob, place: tuple[int, UUID]
    ) -> list[Any]:
        match = work.match
        return await connection.fetch(
            _sql.find_unindexed,
            dataset_id,
            *place,
            self._profiles_per_page,
            match.scope,
            match.keys[0],
            work.namespace,
        )

    def _submit(self, dataset_id: int, page: list[Any], work: ReindexJob) -> list[asyncio.Task[int]]:
        """Hand every profile that the work concerns to the write path, all at once, in order."""
        people = {row["survivor_id"]: row for row in page}
        return [
            asyncio.create_task(self._tell(dataset_id, observation))
            for row in people.values()
            if row["concerned"] and (observation := work.observe(row)) is not None
        ]

    async def _tell(self, dataset_id: int, observation: Observation) -> int:
        """How many profiles were absorbed; none if the profile is gone by now."""
        try:
            resolution = await self._ingest.submit(dataset_id, Submission(observation))
        except ObservationRejected:
            return 0
        return len(resolution.plan.merges) if resolution.plan else 0


class ReindexJob(msgspec.Struct, frozen=True):
    """What is to be done to the profiles that hold a value where `match` says, or in the `namespace`.
    `observe`: what a profile's row then says of it, None if that is known."""

    match: IdentifierSource
    namespace: str
    observe: Callable[[Any], Observation | None]


def _reindex_job(config: Config, work_id: str) -> ReindexJob | None:
    """The work of this id as the configuration has it; None if there is none any more."""
    if work_id == LEGACY_ID_JOB:
        return _legacy_job(config)
    match = next((m for m in config.identifier_sources if m.source_id == work_id), None)
    if match is None:
        return None

    def observe(row: Any) -> Observation | None:
        found = _unindexed(row, match, config)
        return None if found is None else match_of(row["survivor_id"], found)

    return ReindexJob(match, match.name, observe)


def _legacy_job(config: Config) -> ReindexJob | None:
    """Named users of a dataset that did not resolve identities get their former id as the identity that
    `user.id` stands for (wire/interactions §11)."""
    match = former_match(config)
    if match is None:
        return None

    def observe(row: Any) -> Observation | None:
        values, identities = (msgspec.json.decode(row[name]) for name in ("record_values", "identities"))
        former = identities.get(LEGACY_ID)
        if not former or read(values, match.path) == former[0]:
            return None
        return former_id(row["survivor_id"], match, former[0])

    return ReindexJob(match, LEGACY_ID, observe)


def former_match(config: Config) -> IdentifierSource | None:
    """The identity attribute that takes the ids by which users were named."""
    default = config.channel_identity("Web")
    return config.bindings.get(default.type_id) if default is not None else None


def former_id(profile_id: UUID, match: IdentifierSource, named_id: str) -> Observation:
    """The observation that a named user's former id is the value of an identity attribute."""
    scope, key = match.path
    return ClaimsReport(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface="legacy",
        profile_id=profile_id,
        values={scope: {key: named_id}},
    )


def _unindexed(row: Any, match: IdentifierSource, config: Config) -> tuple[Identifier, ...] | None:
    identities = msgspec.json.decode(row["identities"])
    return unindexed_identifiers(rows.read_record(row), identities, row["created_at"], match, config)


def match_of(profile_id: UUID, found: tuple[Identifier, ...]) -> Observation:
    """The observation that a profile holds these values; what follows is the business of the write path."""
    return Reindex(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface="rules",
        profile_id=profile_id,
        identifiers=found,
    )
