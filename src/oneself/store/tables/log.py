"""The table `log`: everything that happened, in the order of (seq, observation id)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.fold.log_entry import (
    MANUAL_MERGE,
    MANUAL_SPLIT,
    REVIEW,
    EndedMerge,
    EntryKey,
    Erased,
    LogEntry,
    ManualMerge,
    ManualSplit,
    Reconfigured,
    Reviewed,
    recorded_plan,
)
from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.core.profiles.profile import Profile
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.store import rows
from oneself.store.database import Database
from oneself.store.queries import Queries
from oneself.store.tables.fragment import FragmentEntry
from oneself.store.tables.log_row import read_entry, read_versions
from oneself.store.tables.profile import ProfileTable
from oneself.store.tables.table import Table

_sql = Queries("log")
_REPORTS_OF_PROFILES, _REPORTS_OF_FRAGMENTS = (
    _sql.find_claim_reports.replace("/* entries by $2 */", entries)
    for entries in (
        "profile_id = ANY ($2::uuid[])",
        "(seq, observation_id) IN (SELECT seq, observation_id FROM fragment_entry "
        "WHERE dataset_id = $1 AND fragment_id = ANY ($2::uuid[]))",
    )
)
CHANGING_OF_PROFILES, CHANGING_OF_FRAGMENTS = (
    _sql.list_changing.replace("/* from the entries of part.id */", entries)
    for entries in (
        "FROM log WHERE dataset_id = $1 AND profile_id IS NOT NULL AND profile_id = part.id",
        "FROM fragment_entry WHERE dataset_id = $1 AND fragment_id = part.id",
    )
)
_ids = msgspec.json.Decoder(list[UUID])

ENTRIES_PER_CHUNK = 1000
#: The entries of more profiles are read in pieces.
PROFILES_READ_AT_ONCE_MAX = 200
#: From this number on, entries are appended by COPY.
COPIED_MIN = 10
_COLUMNS = (
    "dataset_id", "seq", "observation_id", "profile_id", "kind", "name", "config_version", "content", "plan",
    "replay", "fragment_id", "active_at",
)  # fmt: skip
#: Before every entry.
BEGINNING: tuple[int, UUID] = (-1, UUID(int=0))


class ClaimReport(msgspec.Struct, frozen=True):
    """What the identity provider reported about the claims of a profile's user."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    #: The claims that it says are verified.
    verified: tuple[str, ...]
    #: Claim → reported value.
    claims: dict[str, Any]


class ChangingEntry(msgspec.Struct, frozen=True):
    """An entry that may change values or choices of a profile."""

    seq: int
    profile_id: UUID
    fragment_id: UUID
    config_version: int
    observation: Observation
    #: As of `LogEntry`.
    admitted_by: tuple[int, ...] = ()


class NewEntry(msgspec.Struct, frozen=True):
    """An observation with its plan, to be appended to the log."""

    seq: int
    observation: Observation
    plan: Plan
    config_version: int
    #: None: it belongs to no fragment.
    fragment: FragmentEntry | None = None


class ErasureEntry(msgspec.Struct, frozen=True):
    """An erasure as the log has it."""

    seq: int
    receipt_id: UUID
    erased: Erased


class VerificationEntry(msgspec.Struct, frozen=True):
    """What a user verified in another dataset, to be appended to the log."""

    seq: int
    observation_id: UUID
    verification: ClaimVerification


class _Recorded(msgspec.Struct, frozen=True):
    """An observation as a field: msgspec keeps what it knows of the fields of a struct, not of a union."""

    observation: Observation


class LogTable(Table):
    """The log of a dataset."""

    __slots__ = ()

    async def append(self, entries: Sequence[NewEntry], active: Sequence[Profile] = ()) -> None:
        """Append observations, and update profiles of which only the activity has changed.

        One or a few by INSERT, more by COPY: its fixed cost is higher, and that of an entry a fifth lower.
        Needs a transaction.
        """
        executor, dataset_id = self._executor, self._dataset_id
        if len(entries) == len(active) == 1:
            (entry,), (profile,) = entries, active
            await executor.execute(_sql.append_active, dataset_id, *_row(entry), *rows.activity_row(profile))
            return
        if len(entries) == 1:
            await executor.execute(_sql.append_one, dataset_id, *_row(entries[0]))
        elif len(entries) >= COPIED_MIN:
            assert not isinstance(executor, Database)
            records = [(dataset_id, *_row(entry)) for entry in entries]
            await executor.copy_records_to_table("log", columns=_COLUMNS, records=records)
        elif entries:
            await executor.execute(_sql.append, dataset_id, *rows.columns(11, map(_row, entries)))
        await ProfileTable(executor, dataset_id).put_activity(active)

    async def find_observation(self, seq: int) -> UUID | None:
        """An observation that was recorded at a seq."""
        found: UUID | None = await self._executor.fetchval(_sql.find_observation, self._dataset_id, seq)
        return found

    async def put_fragments(self, entries: Sequence[FragmentEntry]) -> None:
        """Record which fragments entries belong to that the log has already."""
        if entries:
            columns = rows.columns(4, map(msgspec.structs.astuple, entries))
            await self._executor.execute(_sql.put_fragments, self._dataset_id, *columns)

    async def put_change(self, config: Config, observation_id: UUID, content: dict[str, Any]) -> None:
        """Append the change that made a configuration."""
        await self._put_unattached(config.seq, observation_id, "configure", config.version, content)

    async def put_erasure(self, entry: ErasureEntry, config_version: int) -> None:
        """Append an erasure."""
        await self._put_unattached(entry.seq, entry.receipt_id, "erase", config_version, entry.erased)

    async def put_review(self, seq: int, review_id: UUID, reviewed: Reviewed, config_version: int) -> None:
        """Append a review of joins."""
        await self._put_unattached(seq, review_id, REVIEW, config_version, reviewed)

    async def put_decision(
        self, seq: int, decision_id: UUID, decision: ManualSplit | ManualMerge, config_version: int
    ) -> None:
        """Append what a person decided about fragments."""
        kind = MANUAL_SPLIT if isinstance(decision, ManualSplit) else MANUAL_MERGE
        await self._put_unattached(seq, decision_id, kind, config_version, decision)

    async def note_ended(self, seq: int, split_id: UUID, ended: Sequence[EndedMerge]) -> None:
        """Add to the entry of a split which merges it ended."""
        encoded = msgspec.json.encode(ended).decode()
        await self._executor.execute(_sql.note_ended, self._dataset_id, seq, split_id, encoded)

    async def find_decisions_of(self, fragment_ids: Iterable[UUID]) -> list[LogEntry]:
        """What people decided about fragments, in order."""
        found = await self._executor.fetch(_sql.find_decisions_of, self._dataset_id, _texts(fragment_ids))
        return [read_entry(row) for row in found]

    async def forget_reasons(self, fragment_ids: Iterable[UUID]) -> None:
        """Remove the words of people from what they decided about fragments, and what splits ended."""
        await self._executor.execute(_sql.forget_reasons, self._dataset_id, _texts(fragment_ids))

    async def put_verifications(self, entries: Sequence[VerificationEntry], config_version: int) -> None:
        """Append what users verified in another dataset."""
        if entries:
            found = ((item.seq, item.observation_id, rows.encode_json(item.verification)) for item in entries)
            await self._executor.execute(
                _sql.put_verifications, self._dataset_id, config_version, *rows.columns(3, found)
            )

    async def find_verifications(
        self, users: Iterable[str], values: Iterable[str]
    ) -> dict[EntryKey, LogEntry]:
        """What users verified in another dataset, and who verified one of these values, in whatever case."""
        found = await self._executor.fetch(
            _sql.find_verifications, self._dataset_id, sorted(users), sorted(values)
        )
        return {(row["seq"], row["observation_id"]): read_entry(row) for row in found}

    async def list_after(self, position: tuple[int, UUID], limit: int = ENTRIES_PER_CHUNK) -> list[LogEntry]:
        """The next entries after a position (seq, observation id), in order."""
        found = await self._executor.fetch(_sql.list_after, self._dataset_id, *position, limit)
        return [read_entry(row) for row in found]

    async def find_of_profiles(self, profile_ids: Sequence[UUID]) -> list[LogEntry]:
        """Everything that is attached to profiles, in order. Of many profiles, it is read in pieces: other
        requests go on meanwhile. Needs a transaction."""
        asked = _sql.find_of_profiles, self._dataset_id, profile_ids
        if len(profile_ids) <= PROFILES_READ_AT_ONCE_MAX or isinstance(self._executor, Database):
            return [read_entry(row) for row in await self._executor.fetch(*asked)]
        cursor = self._executor.cursor(*asked, prefetch=ENTRIES_PER_CHUNK)
        return [read_entry(row) async for row in cursor]

    async def find_keys_of_profiles(self, profile_ids: Iterable[UUID]) -> set[EntryKey]:
        """The entries that are attached to profiles."""
        found = await self._executor.fetch(_sql.find_keys_of_profiles, self._dataset_id, sorted(profile_ids))
        return {(row["seq"], row["observation_id"]) for row in found}

    async def find_profiles_of_fragments(self, fragment_ids: Iterable[UUID]) -> set[UUID]:
        """The profiles that the entries of fragments are attached to."""
        found = await self._executor.fetch(
            _sql.find_profiles_of_fragments, self._dataset_id, sorted(fragment_ids)
        )
        return {row["profile_id"] for row in found}

    async def count_of_profiles(self, profile_ids: Iterable[UUID], limit: int) -> int:
        """How many entries are attached to profiles, at most `limit`."""
        asked = self._dataset_id, sorted(profile_ids), limit
        return int(await self._executor.fetchval(_sql.count_of_profiles, *asked))

    async def find_attached(self, profile_ids: Iterable[UUID]) -> set[tuple[UUID, UUID]]:
        """Pairs of a fragment and one of these profiles that an entry of it is attached to."""
        found = await self._executor.fetch(_sql.find_attached, self._dataset_id, sorted(profile_ids))
        return {(row["fragment_id"], row["profile_id"]) for row in found}

    async def find_naming_fragments(self, fragment_ids: Iterable[UUID], anonymous_id: str) -> set[UUID]:
        """The fragments among some that an anonymous id came with."""
        asked = sorted(fragment_ids), anonymous_id
        found = await self._executor.fetch(_sql.find_naming_fragments, self._dataset_id, *asked)
        return {row["fragment_id"] for row in found}

    async def find_anonymous_ids(
        self, tracker: str, fragment_ids: Iterable[UUID], limit: int
    ) -> list[Identifier]:
        """The anonymous ids that came with a tracker, the oldest first. `fragment_ids`: of its browser."""
        asked = sorted(fragment_ids), tracker, limit
        found = await self._executor.fetch(_sql.find_anonymous_ids, self._dataset_id, *asked)
        return [Identifier(ANONYMOUS_ID, row["value"]) for row in found]

    async def find_of_fragments(
        self, entries: Iterable[EntryKey], profile_ids: Iterable[UUID], fragment_ids: Iterable[UUID] = ()
    ) -> list[LogEntry]:
        """Entries, and the reindexing of profiles and of fragments, in order."""
        columns = *rows.columns(2, sorted(entries)), sorted(profile_ids), _texts(fragment_ids)
        found = await self._executor.fetch(_sql.find_of_fragments, self._dataset_id, *columns)
        return [read_entry(row) for row in found]

    async def find_erasures_of(
        self, fragment_ids: Iterable[UUID], devices: Iterable[Identifier]
    ) -> list[LogEntry]:
        """The erasures that joined fragments or let browsers begin anew, in order."""
        columns = sorted(fragment_ids), [rows.encode_json(device) for device in sorted(devices)]
        found = await self._executor.fetch(_sql.find_erasures_of, self._dataset_id, *columns)
        return [read_entry(row) for row in found]

    async def find_reviews_of(self, fragment_ids: Iterable[UUID]) -> list[LogEntry]:
        """The reviews of joins that looked at fragments, in order."""
        found = await self._executor.fetch(_sql.find_reviews_of, self._dataset_id, _texts(fragment_ids))
        return [read_entry(row) for row in found]

    async def find_given_up(self, fragment_ids: Iterable[UUID]) -> dict[str, set[UUID]]:
        """User whose account was given up in a decision about fragments → the fragments that were theirs."""
        given_up: dict[str, set[UUID]] = {}
        for row in await self._executor.fetch(_sql.find_given_up, self._dataset_id, _texts(fragment_ids)):
            given_up.setdefault(row["user_id"], set()).update(_ids.decode(row["fragment_ids"]))
        return given_up

    async def find_disowned(self, user_id: str) -> set[UUID]:
        """The fragments that were a user's until the account was given up."""
        found = await self._executor.fetch(_sql.find_disowned, self._dataset_id, user_id)
        return {fragment_id for row in found for fragment_id in _ids.decode(row["fragment_ids"])}

    async def find_claim_reports(self, profile_ids: Sequence[UUID]) -> list[ClaimReport]:
        """The reports of claims of profiles that say something else than the one before, in order."""
        found = await self._executor.fetch(_REPORTS_OF_PROFILES, self._dataset_id, profile_ids)
        return [
            ClaimReport(row["seq"], row["profile_id"], tuple(row["verified"]), row["claims"]) for row in found
        ]

    async def find_claim_reports_of_fragments(
        self, fragment_ids: Sequence[UUID], profile_id: UUID
    ) -> list[ClaimReport]:
        """The same of fragments. `profile_id`: of the profile that they belong to in a view."""
        found = await self._executor.fetch(_REPORTS_OF_FRAGMENTS, self._dataset_id, fragment_ids)
        return [ClaimReport(row["seq"], profile_id, tuple(row["verified"]), row["claims"]) for row in found]

    async def list_changing(
        self, ids: Iterable[UUID], limit: int, *, by_fragment: bool
    ) -> tuple[list[ChangingEntry], bool]:
        """Those that may change values or choices among the first `limit` entries, in order, and whether
        there are no more. `ids`: of profiles, or of fragments.
        """
        sql = CHANGING_OF_FRAGMENTS if by_fragment else CHANGING_OF_PROFILES
        found = await self._executor.fetch(sql, self._dataset_id, sorted(ids), limit + 1)
        changing = [_read_changing(row) for row in found[:limit] if row["kind"] is not None]
        return changing, len(found) <= limit

    async def find_configurations(self) -> dict[int, Config]:
        """Every version of the configuration that there has been."""
        config = Config()
        configs = {config.version: config}
        for row in await self._executor.fetch(_sql.find_changes, self._dataset_id):
            entry = read_entry(row)
            config = configure(config, msgspec.convert(entry.content, Reconfigured).change, entry.seq)
            configs[config.version] = config
        return configs

    async def find_change_seq(self) -> int:
        """An instant (µs) later than everything in the log."""
        return int(await self._executor.fetchval(_sql.find_change_seq, self._dataset_id))

    async def find_activity(
        self, asked: Iterable[tuple[UUID, int]], before_seq: int
    ) -> list[tuple[UUID, int]]:
        """Survivors with their last activity by an instant (µs), by their entries before a seq."""
        columns = rows.columns(2, sorted(asked))
        found = await self._executor.fetch(_sql.find_activity, self._dataset_id, *columns, before_seq)
        return [(row["profile_id"], row["at"]) for row in found]

    async def list_erasures(self, before_seq: int, limit: int) -> list[ErasureEntry]:
        """The erasures before a seq, the last one first."""
        found = await self._executor.fetch(_sql.list_erasures, self._dataset_id, before_seq, limit)
        return [_read_erasure(row) for row in found]

    async def find_erasure(self, receipt_id: UUID) -> ErasureEntry | None:
        """One erasure by the id of its receipt."""
        row = await self._executor.fetchrow(_sql.find_erasure, self._dataset_id, receipt_id)
        return None if row is None else _read_erasure(row)

    async def find_profiles(self, entries: Iterable[EntryKey]) -> set[UUID]:
        """The profiles that entries are attached to."""
        columns = rows.columns(2, sorted(entries))
        found = await self._executor.fetch(_sql.find_profiles, self._dataset_id, *columns)
        return {row["profile_id"] for row in found}

    async def delete(self, entries: Iterable[EntryKey]) -> None:
        """Delete entries."""
        if gone := sorted(entries):
            await self._executor.execute(_sql.delete, self._dataset_id, *rows.columns(2, gone))

    async def forget_detached(self, devices: Iterable[Identifier]) -> None:
        """Remove browsers from the erasures that let them begin anew."""
        if gone := [rows.encode_json(device) for device in sorted(devices)]:
            await self._executor.execute(_sql.forget_detached, self._dataset_id, gone)

    async def redact(self, entries: Sequence[LogEntry]) -> None:
        """Replace entries by these, with the same seqs and observations; from then on their plans are applied
        as recorded."""
        for start in range(0, len(entries), ENTRIES_PER_CHUNK):
            some = entries[start : start + ENTRIES_PER_CHUNK]
            columns = rows.columns(7, (_redacted_row(entry) for entry in some))
            await self._executor.execute(_sql.redact, self._dataset_id, *columns)

    async def freeze(self, entries: Iterable[tuple[int, UUID]]) -> None:
        """Apply entries (seq, profile) as recorded from now on."""
        if frozen := sorted(entries):
            await self._executor.execute(_sql.freeze, self._dataset_id, *rows.columns(2, frozen))

    async def freeze_entries(self, keys: Iterable[EntryKey]) -> None:
        """The same for entries by their keys."""
        if frozen := sorted(keys):
            await self._executor.execute(_sql.freeze_entries, self._dataset_id, *rows.columns(2, frozen))

    async def freeze_refused(self, profile_ids: Sequence[UUID]) -> None:
        """The same for the entries of other people that were kept apart from one of these profiles."""
        await self._executor.execute(_sql.freeze_refused, self._dataset_id, profile_ids)

    async def _put_unattached(
        self, seq: int, observation_id: UUID, kind: str, config_version: int, content: object
    ) -> None:
        await self._executor.execute(
            _sql.put_unattached,
            self._dataset_id,
            seq,
            observation_id,
            kind,
            config_version,
            rows.encode_json(content),
        )


def _row(entry: NewEntry) -> tuple[object, ...]:
    observation, plan, fragment = entry.observation, entry.plan, entry.fragment
    return (
        entry.seq, observation.observation_id, plan.profile_id, observation.kind, observation.name,
        entry.config_version, observation, None if plan.is_attachment else plan,
        "apply" if plan.replays_as_recorded else "judge",
        None if fragment is None else fragment.fragment_id, None if fragment is None else fragment.active_at,
    )  # fmt: skip


def _redacted_row(entry: LogEntry) -> tuple[object, ...]:
    content, plan = rows.encode_json(entry.content), rows.encode_json(recorded_plan(entry))
    name = entry.content.get("name")
    return entry.seq, entry.observation_id, entry.profile_id, name, content, plan, entry.content_redacted


def _read_changing(row: Any) -> ChangingEntry:
    content = msgspec.json.decode(row["content"])
    observation = msgspec.convert({"observation": content}, _Recorded).observation
    return ChangingEntry(
        seq=row["seq"],
        profile_id=row["profile_id"],
        fragment_id=row["fragment_id"],
        config_version=row["config_version"],
        observation=observation,
        admitted_by=read_versions(row),
    )


def _read_erasure(row: Any) -> ErasureEntry:
    erased = msgspec.json.decode(row["content"], type=Erased)
    return ErasureEntry(row["seq"], row["observation_id"], erased)


def _texts(fragment_ids: Iterable[UUID]) -> list[str]:
    """Ids as JSON has them."""
    return [str(item) for item in sorted(fragment_ids)]
