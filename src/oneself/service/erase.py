"""Erase: what a person asked to be forgotten leaves the log, the state and the kept answers.

Law of this module: one transaction under the lock of the survivor. The whole person: every entry attached to
any of their profiles is deleted. One absorbed profile (wire/cds §5.5): its entries are redacted, the plans
stay, so that what remains is one person still; their state is what the redacted log folds to.
Ids stay as tombstones: they are never issued again.
"""

import asyncio
import random
import uuid
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from oneself.core.config import Config
from oneself.core.fold import repeat
from oneself.core.identifier import Identifier
from oneself.core.observation import Observation
from oneself.core.plan import Rejection
from oneself.core.profile import Profile
from oneself.core.replay import Erased, LogEntry, erase, recorded_plan, redact
from oneself.core.state import State
from oneself.errors import Contended
from oneself.service import working_set
from oneself.service.actor import Actor
from oneself.service.history import find_configurations, find_person_entries
from oneself.service.ingest import ATTEMPTS_MAX, RETRY_DELAY_MS, Rejected
from oneself.service.organisations import Tenant
from oneself.service.working_set import Wanted
from oneself.store import rows
from oneself.store.pool import Queries

if TYPE_CHECKING:
    from oneself.store.pool import Connection, Database

_sql = Queries("erase.sql")


class Erasure:
    """Forgets people."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def erase(
        self, tenant: Tenant, actor: Actor, profile_id: UUID, *, expected_version: int | None = None
    ) -> tuple[UUID, ...]:
        """Erase the person whose survivor this is, or the part that an absorbed profile brought.

        Returns the erased ids, none if the profile is unknown. Raises Rejected `stale`, Contended.
        """
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with self._database.transaction() as connection:
                    return await _erase(connection, tenant.dataset_id, actor, profile_id, expected_version)
            except Contended:
                await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)
        raise Contended("Too many others write about the same person.")


async def _erase(
    connection: "Connection", dataset_id: int, actor: Actor, profile_id: UUID, expected_version: int | None
) -> tuple[UUID, ...]:
    wanted = Wanted(frozenset(), frozenset({profile_id}), members=True)
    header = await working_set.lock(connection, dataset_id, wanted)
    state, _ = await working_set.gather(connection, dataset_id, wanted)
    profile, survivor = state.profiles.get(profile_id), state.survivor(profile_id)
    if profile is None or profile.erased or survivor is None:
        return ()
    if expected_version is not None and expected_version != survivor.updated_at:
        raise Rejected(Rejection("stale", "The profile was changed in the meantime."))
    seq = max(header.now, survivor.seq + 1)
    members = tuple(member.profile_id for member in state.members.get(survivor.profile_id, ()))
    everybody = (survivor.profile_id, *members)
    if profile.is_absorbed:
        erased: tuple[UUID, ...] = (profile_id,)
        await _erase_part(connection, dataset_id, everybody, profile, seq)
    else:
        erased = everybody
        await _erase_whole(connection, dataset_id, everybody, seq)
    content = rows.encode_json(Erased(actor.face, erased))
    await connection.execute(_sql.put_erasure, dataset_id, seq, uuid.uuid4(), header.config_version, content)
    return erased


async def _erase_whole(
    connection: "Connection", dataset_id: int, everybody: tuple[UUID, ...], seq: int
) -> None:
    for sql in (
        _sql.pin_refusals, _sql.delete_entries, _sql.delete_claims, _sql.delete_merges, _sql.delete_refusals,
        _sql.blank_answers,
    ):  # fmt: skip
        await connection.execute(sql, dataset_id, list(everybody))
    state = State()
    erase(state, everybody, seq)
    await working_set.save(connection, dataset_id, state)


async def _erase_part(
    connection: "Connection", dataset_id: int, everybody: tuple[UUID, ...], part: Profile, seq: int
) -> None:
    """Redact what the profile brought, and let the redacted entries say what remains of the person."""
    configs = await find_configurations(connection, dataset_id)
    ids = list(everybody)
    entries = await find_person_entries(connection, dataset_id, ids)
    claims = await connection.fetch(_sql.find_profile_claims, dataset_id, ids)
    own = frozenset(
        Identifier(row["namespace"], row["value"]) for row in claims if row["profile_id"] == part.profile_id
    )
    left = [_redacted(entry, part.profile_id, own, configs[entry.config_version]) for entry in entries]
    await _put_redactions(
        connection, dataset_id, [e for e, old in zip(left, entries, strict=True) if e is not old]
    )
    await connection.execute(_sql.pin_refusals, dataset_id, ids)
    state = State()
    for entry in left:
        observation = msgspec.convert(entry.content, Observation)
        config = configs[entry.config_version]
        repeat(state, observation, recorded_plan(entry), config, entry.seq)
    await _replace(connection, dataset_id, ids, part.profile_id, state, claims, seq)


def _redacted(entry: LogEntry, part: UUID, own: frozenset[Identifier], config: Config) -> LogEntry:
    """The entry as it may stay; the same one if it says nothing about the part."""
    redacted = redact(entry, part, own, config)
    return entry if redacted.content == entry.content else redacted


async def _put_redactions(connection: "Connection", dataset_id: int, entries: list[LogEntry]) -> None:
    await connection.executemany(
        _sql.put_redaction,
        [
            (
                dataset_id,
                e.seq,
                e.observation_id,
                rows.encode_json(e.content),
                rows.encode_json(recorded_plan(e)),
            )
            for e in entries
        ],
    )


async def _replace(
    connection: "Connection",
    dataset_id: int,
    ids: list[UUID],
    part: UUID,
    state: State,
    claims: list[Any],
    seq: int,
) -> None:
    """Put the folded state of a person in the place of the one they had."""
    for sql in (_sql.delete_claims, _sql.delete_merges, _sql.delete_refusals, _sql.blank_answers):
        await connection.execute(sql, dataset_id, ids)
    erase(state, (part,), seq)
    _end_as_before(state, claims)
    await working_set.save(connection, dataset_id, state)


def _end_as_before(state: State, claims: list[Any]) -> None:
    """A browser that moved on to somebody else is not theirs again."""
    ended = {
        (row["namespace"], row["value"], row["profile_id"], row["seq"]): row["until_seq"]
        for row in claims
        if row["until_seq"] is not None
    }
    for live in list(state.claims.values()):
        for claim in live:
            until = ended.get((*_parts(claim.identifier), claim.profile_id, claim.seq))
            if until is not None:
                state.release(claim, until)


def _parts(identifier: Identifier) -> tuple[str, str]:
    return identifier.namespace, identifier.value
