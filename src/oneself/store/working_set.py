"""One transaction's working set: gathered from PostgreSQL, folded by the core, written back.

Law of this module: a fixed number of statements, whatever the size of the batch (DESIGN §7), always on the
connection it is given; which tables that means is the connection's business (`verify` shadows them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Set
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import DEVICE_NAMESPACES, Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import PRIMARY_CHARS, Profile, primary_id
from oneself.core.resolution.components import connected_components
from oneself.core.resolution.footprint import Footprint, ObservationFootprint
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import Contended
from oneself.store import rows
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("ingest.sql")

#: Reading what identifiers point at and locking it is repeated while another transaction moves it.
GATHER_ROUNDS_MAX = 4
#: Hex digits of a profile's id that its primary id lacks.
MISSING_CHARS = 32 - PRIMARY_CHARS

LOG_COLUMNS = "dataset_id seq observation_id profile_id kind name config_version content plan".split()


class TransactionClock(msgspec.Struct, frozen=True):
    """When a transaction judges (µs), its own number, and by which configuration."""

    now: int
    transaction: str
    config_version: int


class IdempotencyRecord(msgspec.Struct, frozen=True):
    """The first answer to a request or event (DESIGN §7)."""

    key: str
    seq: int
    profile_id: UUID
    fingerprint: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


class NewEntry(msgspec.Struct, frozen=True):
    """One row of the log."""

    seq: int
    observation: Observation
    plan: Plan
    config_version: int


async def lock_identifiers(connection: Connection, dataset_id: int, wanted: Footprint) -> None:
    """Take every identifier and key in one sorted order."""
    names = {rows.lock_hash(dataset_id, i.namespace, i.value) for i in wanted.identifiers}
    names |= {rows.lock_hash(dataset_id, "key", key) for key in wanted.keys}
    await connection.execute(_sql.lock_identifiers, rows.config_hash(dataset_id), sorted(names))


async def read_clock(connection: Connection, dataset_id: int) -> TransactionClock:
    """The clock and the version of the configuration, as this transaction sees them."""
    row = await connection.fetchrow(_sql.find_header, dataset_id)
    assert row is not None
    return TransactionClock(**dict(row))


async def gather(
    connection: Connection, dataset_id: int, wanted: Footprint
) -> tuple[WorkingSet, dict[str, IdempotencyRecord]]:
    """The profiles and claims that the batch may touch, locked, and the answers already given.

    Raises Contended when others keep moving what is being gathered, TokensPast when tokens do not say it all.
    """
    if wanted.token_fast_path:
        return await _gather_remembered(connection, dataset_id, wanted), {}
    answers = await _answers(connection, dataset_id, wanted.keys)
    addressed = wanted.profile_ids | {stored.profile_id for stored in answers.values()}
    for _ in range(GATHER_ROUNDS_MAX):
        leaves = await _profiles(connection, _sql.find_profiles, dataset_id, addressed)
        claims, seen, pointers = await _claims(connection, dataset_id, wanted.identifiers, wanted.primary_ids)
        survivors = set(seen) | {leaf.survivor_id or leaf.profile_id for leaf in leaves}
        sql = _sql.lock_profiles if wanted.lock else _sql.find_profiles
        locked = await _profiles(connection, sql, dataset_id, survivors)
        if _settled(locked, seen, survivors) and await _stay(connection, dataset_id, leaves):
            met = _meetings(wanted, seen, pointers)
            own = await _own_claims(connection, dataset_id, wanted, locked, seen, met)
            members = await _members(connection, dataset_id, survivors) if wanted.members else {}
            state = _state(leaves, locked, [*claims, *own], seen, members, pointers)
            await _note_activity(connection, dataset_id, state, met, wanted.before_seq)
            return state, answers
    raise Contended("Others keep changing the same profiles.")


class StaleToken(Exception):
    """Whom tokens name are not who they were, or not alone with what they brought: all is to be looked up."""


async def _gather_remembered(connection: Connection, dataset_id: int, wanted: Footprint) -> WorkingSet:
    """The users of tokens, locked, with what claims there are on what their events name: all of it is theirs,
    so there is nobody else to find. The identifiers are locked already, nobody can move them.

    Raises TokensPast when that is not so."""
    first, last = _spans(wanted.primary_ids)
    named = sorted(wanted.identifiers)
    namespaces, values = [i.namespace for i in named], [i.value for i in named]
    found = await connection.fetch(_sql.lock_remembered, dataset_id, first, last, namespaces, values)
    profiles = [row for row in found if row["namespace"] is None]
    claimed = [row for row in found if row["namespace"] is not None]
    unmoved = [rows.read_profile(row) for row in profiles if row["seen_seq"] == row["seq"]]
    users = [user for user in unmoved if not (user.is_absorbed or user.erased)]
    if not len(profiles) == len(users) == len(wanted.primary_ids):
        raise StaleToken
    owners = {Identifier(row["namespace"], row["value"]): row["survivor_id"] for row in claimed}
    is_settled = all(
        row["namespace"] in DEVICE_NAMESPACES or row["seq"] >= wanted.claims_current_since for row in claimed
    )
    if not (is_settled and _all_theirs(wanted, users, owners)):
        raise StaleToken
    pointers = {row["profile_id"]: row["survivor_id"] for row in claimed}
    return _state([], users, [rows.read_claim(row) for row in claimed], {}, {}, pointers)


def _all_theirs(wanted: Footprint, users: list[Profile], owners: dict[Identifier, UUID]) -> bool:
    """True if what an event says of its user they hold already, alone of its type, and its browser is theirs
    or nobody's: then it changes nothing about what anybody holds."""
    by_primary = {primary_id(user.profile_id, anonymous=False): user for user in users}
    for meeting in wanted.parts:
        user = by_primary[meeting.primary_id or ""]
        named = {identifier for identifier in meeting.identifiers if not identifier.is_device}
        if not named <= owners.keys() or not _held(user, {each.namespace for each in named}) <= named:
            return False
        if any(owners.get(each, user.profile_id) != user.profile_id for each in meeting.identifiers):
            return False
    return True


def _spans(primary_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """Between which profile ids, in hex, those lie that begin with primary ids."""
    wanted = sorted(primary_ids)
    first, last = ([primary + end * MISSING_CHARS for primary in wanted] for end in "0f")
    return first, last


async def _stay(connection: Connection, dataset_id: int, leaves: list[Profile]) -> bool:
    """True if the absorbed ones among these are still what they were, now that their survivors are locked: an
    erasure may have taken one out while we waited."""
    absorbed = {leaf.profile_id: leaf for leaf in leaves if leaf.is_absorbed}
    now = await _profiles(connection, _sql.find_profiles, dataset_id, absorbed)
    return len(now) == len(absorbed) and all(
        (leaf.survivor_id, leaf.erased) == (absorbed[leaf.profile_id].survivor_id, False) for leaf in now
    )


def _settled(locked: list[Profile], seen: dict[UUID, tuple[int, list[Claim]]], wanted: set[UUID]) -> bool:
    """True if nothing moved between reading what identifiers point at and locking it."""
    if len(locked) != len(wanted):
        return False
    return all(
        not profile.is_absorbed and seen.get(profile.profile_id, (profile.seq, []))[0] == profile.seq
        for profile in locked
    )


def _state(
    leaves: list[Profile],
    locked: list[Profile],
    claims: list[Claim],
    seen: dict[UUID, tuple[int, list[Claim]]],
    members: dict[UUID, Any],
    pointers: dict[UUID, UUID],
) -> WorkingSet:
    """The working set. A claim's or token's own profile, when absorbed and not addressed, is known by its
    pointer."""
    present = {profile.profile_id: profile for profile in (*leaves, *locked)}
    absorbed = {claim.profile_id: survivor_id for survivor_id, (_, held) in seen.items() for claim in held}
    known = [
        msgspec.structs.replace(
            present[survivor_id], profile_id=profile_id, survivor_id=survivor_id, reason="pointer"
        )
        for profile_id, survivor_id in (absorbed | pointers).items()
        if profile_id not in present
    ]
    return WorkingSet((*known, *present.values()), claims, members)


def _meetings(
    wanted: Footprint, seen: dict[UUID, tuple[int, list[Claim]]], pointers: dict[UUID, UUID]
) -> list[tuple[ObservationFootprint, frozenset[UUID]]]:
    """Whom each meeting may lead to, by itself or through others that name the same: what one joins, the next
    one finds joined."""
    holders: dict[Hashable, set[UUID]] = {}
    for survivor_id, (_, held) in seen.items():
        for claim in held:
            holders.setdefault(claim.identifier, set()).add(survivor_id)
    for profile_id, survivor_id in pointers.items():
        holders.setdefault(primary_id(profile_id, anonymous=False), set()).add(survivor_id)
    groups = connected_components(meeting.names for meeting in wanted.parts)
    people = {
        root: frozenset(each for name in names for each in holders.get(name, ()))
        for root, names in groups.items()
    }
    by_name = {name: root for root, names in groups.items() for name in names}
    return [
        (meeting, people[by_name[meeting.names[0]]] if meeting.names else frozenset())
        for meeting in wanted.parts
    ]


async def _note_activity(
    connection: Connection,
    dataset_id: int,
    state: WorkingSet,
    met: list[tuple[ObservationFootprint, frozenset[UUID]]],
    before_seq: int,
) -> None:
    """Let the working set know when people were active, as far as what happened long ago may have to choose
    between them."""
    asked = sorted(
        {
            (profile_id, meeting.occurred_at)
            for meeting, people in _choosing(met)
            if meeting.occurred_at is not None
            for profile_id in people
            if state.profiles[profile_id].active_at > meeting.occurred_at
        }
    )
    if not asked:
        return
    found = await connection.fetch(_sql.find_activity, dataset_id, *rows.columns(2, asked), before_seq)
    for row in found:
        state.note_activity(row["profile_id"], row["at"])


def _choosing(
    met: list[tuple[ObservationFootprint, frozenset[UUID]]],
) -> list[tuple[ObservationFootprint, frozenset[UUID]]]:
    """The meetings that may lead to several people: two who are there, or one whom the batch makes."""
    shared = Counter(name for meeting, _ in met for name in set(meeting.names))
    return [
        (meeting, people)
        for meeting, people in met
        if len(meeting.names) > 1 and (len(people) > 1 or any(shared[name] > 1 for name in meeting.names))
    ]


async def _answers(
    connection: Connection, dataset_id: int, keys: Iterable[str]
) -> dict[str, IdempotencyRecord]:
    wanted = sorted(keys)
    found = await connection.fetch(_sql.find_answers, dataset_id, wanted) if wanted else []
    return {
        row["key"]: IdempotencyRecord(
            key=row["key"],
            seq=row["seq"],
            profile_id=row["profile_id"],
            fingerprint=row["fingerprint"],
            status=row["status"],
            headers=tuple((name, value) for name, value in row["headers"] or ()),
            body=row["body"],
        )
        for row in found
    }


async def _profiles(
    connection: Connection, sql: str, dataset_id: int, profile_ids: Iterable[UUID]
) -> list[Profile]:
    wanted = sorted(profile_ids)
    found = await connection.fetch(sql, dataset_id, wanted) if wanted else []
    return [rows.read_profile(row) for row in found]


async def _claims(
    connection: Connection,
    dataset_id: int,
    identifiers: Iterable[Identifier],
    primary_ids: frozenset[str] = frozenset(),
) -> tuple[list[Claim], dict[UUID, tuple[int, list[Claim]]], dict[UUID, UUID]]:
    """The live claims, the same by survivor with the seq that it had, and the profiles that primary ids were
    made for, each with its survivor, who is among those."""
    wanted = sorted(identifiers)
    if not wanted and not primary_ids:
        return [], {}, {}
    namespaces, values = [i.namespace for i in wanted], [i.value for i in wanted]
    found = await connection.fetch(_sql.find_claims, dataset_id, namespaces, values, *_spans(primary_ids))
    seen: dict[UUID, tuple[int, list[Claim]]] = {}
    claims, pointers = [], {}
    for row in found:
        held = seen.setdefault(row["survivor_id"], (row["survivor_seq"], []))[1]
        if row["namespace"] is None:
            pointers[row["profile_id"]] = row["survivor_id"]
        else:
            claims.append(claim := rows.read_claim(row))
            held.append(claim)
    return claims, seen, pointers


async def _own_claims(
    connection: Connection,
    dataset_id: int,
    wanted: Footprint,
    locked: list[Profile],
    seen: dict[UUID, tuple[int, list[Claim]]],
    met: list[tuple[ObservationFootprint, frozenset[UUID]]],
) -> list[Claim]:
    """What the locked profiles hold in the namespaces where they are written to, and what those that may be
    joined hold one value of; `seen` grows by it.

    Their locks protect these claims: whoever wants one has to wait for its profile."""
    written: dict[UUID, set[str]] = {profile.profile_id: set(wanted.namespaces) for profile in locked}
    for meeting, people in met:
        for profile_id in people:
            written[profile_id] |= meeting.namespaces
            if len(people) > 1:
                written[profile_id] |= wanted.single_namespaces
    held = {each for profile in locked for each in _held(profile, written[profile.profile_id])}
    _, found, _ = await _claims(connection, dataset_id, held - wanted.identifiers)
    own: list[Claim] = []
    for profile in locked:
        _, claims = found.get(profile.profile_id, (0, []))
        seen.setdefault(profile.profile_id, (profile.seq, []))[1].extend(claims)
        own.extend(claims)
    return own


def _held(profile: Profile, namespaces: Set[str]) -> set[Identifier]:
    return {
        Identifier(name, value)
        for name in namespaces & profile.identities.keys()
        for value in profile.identities[name]
    }


async def _members(connection: Connection, dataset_id: int, survivors: Iterable[UUID]) -> dict[UUID, Any]:
    return rows.read_members(await connection.fetch(_sql.find_members, dataset_id, sorted(survivors)))


async def save(
    connection: Connection,
    dataset_id: int,
    state: WorkingSet,
    entries: list[NewEntry] | None = None,
    answers: list[IdempotencyRecord] | None = None,
) -> None:
    """Write what has changed; `entries` go to the log, `answers` wait for a repeat."""
    if entries:
        await _append(connection, dataset_id, entries)
    changes = state.changes
    merged = changes.merged
    touched = {profile_id for profile_id in changes.profiles if state.only_touched(profile_id)}
    profiles = [_flat(state, profile_id) for profile_id in changes.profiles - touched]
    absorbed = (m.merge.absorbed_id for m in merged)
    moved = [(i, survivor.profile_id) for i in absorbed if (survivor := state.survivor(i))]
    for sql, columns in (
        (_sql.put_survivors, rows.columns(2, moved)),
        (_sql.put_profiles, rows.profile_columns(profiles)),
        (_sql.put_touches, rows.activity_columns(state.profiles[i] for i in touched)),
        (_sql.put_claims, rows.claim_columns(changes.claimed)),
        (_sql.put_releases, rows.release_columns(changes.released)),
        (_sql.put_merges, rows.merge_columns(merged)),
        (_sql.put_refusals, rows.refusal_columns(changes.refused)),
        (_sql.put_answers, _answer_columns(answers or [])),
    ):
        if columns[0]:
            await connection.execute(sql, dataset_id, *columns)


def _flat(state: WorkingSet, profile_id: UUID) -> Profile:
    """The profile, pointing straight at the one that stands for it at the end of the batch."""
    profile = state.profiles[profile_id]
    survivor = state.survivor(profile_id)
    if survivor is None or profile.survivor_id is None:
        return profile
    return msgspec.structs.replace(profile, survivor_id=survivor.profile_id)


async def _append(connection: Connection, dataset_id: int, entries: list[NewEntry]) -> None:
    """Observations go to the log by COPY: they are the bulk, and it takes two thirds of what INSERT does."""
    await connection.copy_records_to_table(
        "log", columns=LOG_COLUMNS, records=[log_row(dataset_id, entry) for entry in entries]
    )


def log_row(dataset_id: int, entry: NewEntry) -> tuple[object, ...]:
    """An entry as a row of LOG_COLUMNS."""
    observation, plan = entry.observation, entry.plan
    return (
        dataset_id, entry.seq, observation.observation_id, plan.profile_id, observation.kind,
        observation.name, entry.config_version, observation, None if plan.is_attachment else plan,
    )  # fmt: skip


def _answer_columns(answers: list[IdempotencyRecord]) -> rows.Columns:
    return rows.columns(
        7,
        (
            (a.key, a.seq, a.profile_id, a.fingerprint, a.status, rows.encode_json(a.headers), a.body)
            for a in answers
        ),
    )
