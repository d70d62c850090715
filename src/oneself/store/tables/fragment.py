"""The tables `fragment` and `fragment_claim`, the parts of profiles, and the view `fragment_entry`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.fold.log_entry import EntryKey
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.fragment import Fragment, Tenure
from oneself.core.identity_graph.graph import PersonJoin
from oneself.core.identity_graph.joins import View
from oneself.core.values.record import Values
from oneself.store import rows
from oneself.store.database import Database
from oneself.store.fragments import FRAGMENT_COLUMNS
from oneself.store.queries import Queries
from oneself.store.tables.table import Table, structs_of

_sql = Queries("fragment")
#: The views that are stored; `all` is the table `profile`.
StoredView = Literal["own", "proven"]
_MEMBERS: dict[StoredView, str] = {"own": _sql.find_own_members, "proven": _sql.find_proven_members}
_POINT: dict[StoredView, str] = {"own": _sql.point_own, "proven": _sql.point_proven}
_decode_state = msgspec.json.Decoder(Fragment).decode
_decode_joins = msgspec.json.Decoder(list[PersonJoin]).decode
#: What is stored of a fragment as its state, unless it is empty.
_STATE = tuple(name for name in Fragment.__struct_fields__ if name not in ("record", "seq"))
#: Sets are written in order, so that equal states are equal texts.
_encode_state = msgspec.json.Encoder(order="deterministic").encode
#: An update finds each value by its place in an array, at a cost that grows with the array.
UPDATED_AT_ONCE = 200
#: So many fragments are read again when they are locked, by the same statement.
READ_AGAIN_MAX = 200
#: So many fragments are read by one statement.
READ_AT_ONCE = 200
_ENTRY_COLUMNS = ("dataset_id", "fragment_id", "seq", "observation_id", "active_at")


class FragmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fragment as it is stored."""

    #: Without its record, which its writes amount to.
    fragment: Fragment
    #: The profile that its first observation is attached to.
    believed_id: UUID
    #: The fragments that head its profiles in the two views.
    own_id: UUID
    proven_id: UUID
    #: What it amounts to alone in the views `own` and `proven`.
    values: Values
    #: In µs since 1970.
    updated_at: int
    #: When the profile in the view `proven` was created, if it heads it; else the fragment itself.
    created_at: int
    exact_key: bytes | None = None
    #: The version of the row that was read; None: it is new.
    read_version: str | None = None

    def head_in(self, view: StoredView) -> UUID:
        """The fragment that heads its profile in a view."""
        return self.own_id if view == "own" else self.proven_id

    def differs_in_state_alone(self, other: FragmentRow) -> bool:
        """Whether nothing but the states of two rows of one fragment differ."""
        fragment, known = self.fragment, other.fragment
        is_owned_alike = (fragment.owner, fragment.reported) == (known.owner, known.reported)
        return is_owned_alike and msgspec.structs.replace(other, fragment=fragment) == self

    @property
    def view_keys(self) -> set[tuple[View, UUID]]:
        """The profiles that it belongs to in the stored views."""
        return {("own", self.own_id), ("proven", self.proven_id)}


class LockedFragments(msgspec.Struct, frozen=True):
    """Fragments that are locked, with what people and erasures did to them."""

    rows: list[FragmentRow]
    #: Their joins that hang on no identifier; one between two of them is there twice.
    joins: list[PersonJoin]
    #: Those that a person keeps apart from others.
    separated: set[UUID]


class ProvenHead(msgspec.Struct, frozen=True):
    """A profile of the view `proven`, by the fragment that heads it."""

    #: In µs since 1970.
    created_at: int
    fragment_id: UUID
    #: Whether a server or a provider said an identifier of it that was said of another profile as well.
    shares: bool


class HeadApart(msgspec.Struct, frozen=True):
    """A profile of the view `proven`, by the fragment that heads it."""

    fragment_id: UUID
    #: Whether something proven ties it to another one.
    is_apart: bool


class FragmentEntry(msgspec.Struct, frozen=True):
    """Which fragment a log entry belongs to."""

    fragment_id: UUID
    seq: int
    observation_id: UUID
    #: When it made the person active, in µs since 1970; None: it did not.
    active_at: int | None


class FragmentTable(Table):
    """The fragments of a dataset."""

    __slots__ = ()

    async def find(
        self, fragment_ids: Iterable[UUID], users: Iterable[str] = (), exact_keys: Iterable[bytes] = ()
    ) -> list[FragmentRow]:
        """Fragments by id, those of users themselves, and those of exactly some identifiers.

        Very many are read in pieces: other requests go on meanwhile.
        """
        ordered = sorted(fragment_ids)
        asked = ordered[:READ_AT_ONCE], sorted(users), sorted(exact_keys)
        found = await self._executor.fetch(_sql.find, self._dataset_id, *asked) if any(asked) else []
        fragments = [read_fragment(row) for row in found]
        for start in range(READ_AT_ONCE, len(ordered), READ_AT_ONCE):
            asked = ordered[start : start + READ_AT_ONCE], [], []
            found = await self._executor.fetch(_sql.find, self._dataset_id, *asked)
            fragments += map(read_fragment, found)
        return fragments

    async def find_versions(self, fragment_ids: Iterable[UUID]) -> dict[UUID, str]:
        """Fragment → the version of its row."""
        found = await self._executor.fetch(_sql.find_versions, self._dataset_id, sorted(fragment_ids))
        return {row["fragment_id"]: row["read_version"] for row in found}

    async def find_members(self, view: StoredView, head: UUID) -> list[FragmentRow]:
        """The fragments of a profile in a view, by id. `head`: the fragment that heads it."""
        found = await self._executor.fetch(_MEMBERS[view], self._dataset_id, head)
        fragments: list[FragmentRow] = []
        for start in range(0, len(found), READ_AT_ONCE):
            fragments += map(read_fragment, found[start : start + READ_AT_ONCE])
            # Other requests go on between the pieces.
            await asyncio.sleep(0)
        return sorted(fragments, key=lambda row: row.fragment.fragment_id)

    async def find_member_ids(self, view: StoredView, head: UUID) -> set[UUID]:
        """The ids of the fragments of a profile in a view. `head`: the fragment that heads it."""
        found = await self._executor.fetch(_sql.find_member_ids, self._dataset_id, view, head)
        return {row["fragment_id"] for row in found}

    async def find_heads_of(self, view: StoredView, fragment_ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """Fragment → the one that heads its profile in a view."""
        found = await self._executor.fetch(_sql.find_heads_of, self._dataset_id, view, sorted(fragment_ids))
        return {row["fragment_id"]: row["head_id"] for row in found}

    async def find_members_of_heads(self, heads: Iterable[UUID]) -> list[FragmentRow]:
        """The fragments of profiles in the view `proven`, by id."""
        found = await self._executor.fetch(_sql.find_members_of_heads, self._dataset_id, sorted(heads))
        return sorted(map(read_fragment, found), key=lambda row: row.fragment.fragment_id)

    async def list_writing(self, key: str, after: UUID, limit: int) -> list[FragmentRow]:
        """The next fragments to which anything was written under one key, and perhaps others, by id."""
        found = await self._executor.fetch(_sql.list_writing, self._dataset_id, key, after, limit)
        return [read_fragment(row) for row in found]

    async def list_proven_heads(self, created_at: int, head: UUID, limit: int) -> list[ProvenHead]:
        """The profiles of the view `proven` from this one on, the newest first."""
        found = await self._executor.fetch(_sql.list_proven_heads, self._dataset_id, created_at, head, limit)
        return structs_of(ProvenHead, found)

    async def list_heads_apart(self, after: UUID, limit: int) -> list[HeadApart]:
        """The next profiles of the view `proven` after an id, in order."""
        return structs_of(
            HeadApart, await self._executor.fetch(_sql.list_heads_apart, self._dataset_id, after, limit)
        )

    async def find_sharing_heads(self, head: ProvenHead, limit: int) -> list[UUID]:
        """The older profiles of the view `proven` that share an identifier with one, the oldest first."""
        asked = head.created_at, head.fragment_id, limit
        found = await self._executor.fetch(_sql.find_sharing_heads, self._dataset_id, *asked)
        return [row["fragment_id"] for row in found]

    async def find_between(self, first: UUID, last: UUID) -> FragmentRow | None:
        """The first fragment of a range of ids."""
        row = await self._executor.fetchrow(_sql.find_between, self._dataset_id, first, last)
        return None if row is None else read_fragment(row)

    async def lock(self, fragment_ids: Iterable[UUID]) -> LockedFragments:
        """Fragments by id, locked in the order of their ids until the end of the transaction."""
        found = await self._executor.fetch(_sql.lock, self._dataset_id, sorted(fragment_ids))
        return _locked(map(read_fragment, found), found)

    async def lock_known(
        self, fragment_ids: Collection[UUID], known: Mapping[UUID, FragmentRow]
    ) -> LockedFragments:
        """The same; of very many, what is known and has not changed since is not read again."""
        if len(fragment_ids) <= READ_AGAIN_MAX:
            return await self.lock(fragment_ids)
        found = await self._executor.fetch(_sql.lock_versions, self._dataset_id, sorted(fragment_ids))
        versions = {row["fragment_id"]: row["read_version"] for row in found}
        same = [row for key, row in known.items() if row.read_version == versions.get(key, "")]
        left = versions.keys() - {row.fragment.fragment_id for row in same}
        return _locked((*same, *await self.find(left)), found)

    async def find_claimants(self, identifiers: Collection[Identifier]) -> set[UUID]:
        """Fragments that ever had a claim on one of these, those with the best evidence first; not all."""
        return await self._find_ids(_sql.find_claimants, *_identifier_columns(identifiers))

    async def find_proven_claimants(self, identifiers: Collection[Identifier]) -> set[UUID]:
        """The fragments of which a server or a provider said one of these, in whatever case."""
        return await self._find_ids(_sql.find_proven_claimants, *_identifier_columns(identifiers))

    async def find_waiting(self, identifiers: Collection[Identifier]) -> set[UUID]:
        """Those of `find_proven_claimants` that have no owner yet, or are a user's own."""
        return await self._find_ids(_sql.find_waiting, *_identifier_columns(identifiers))

    async def find_oldest_claimants(
        self, tenures: Collection[Tenure], number_max: int
    ) -> dict[Tenure, list[UUID]]:
        """Tenure → fragments with proven claims, the oldest first; at most `number_max` of each."""
        if not tenures:
            return {}
        ordered = sorted(tenures)
        columns = rows.columns(3, ((t.identifier.namespace, t.identifier.value, t.number) for t in ordered))
        sql = _sql.find_oldest_claimants
        found: dict[Tenure, list[UUID]] = {tenure: [] for tenure in ordered}
        for row in await self._executor.fetch(sql, self._dataset_id, *columns, number_max):
            found[ordered[row["number"] - 1]].append(row["fragment_id"])
        return found

    async def find_some_members(
        self, view: StoredView, heads: Collection[UUID], number_max: int
    ) -> dict[UUID, list[UUID]]:
        """Head → itself and some other fragments of its profile in a view; of these at most `number_max`."""
        found = {head: [head] for head in heads}
        sql = _sql.find_some_members
        for row in await self._executor.fetch(sql, self._dataset_id, view, sorted(found), number_max):
            found[row["head_id"]].append(row["fragment_id"])
        return found

    async def find_claiming_heads(self, heads: Iterable[UUID], namespaces: Iterable[str]) -> set[UUID]:
        """Which of some profiles in the view `proven` have a proven claim in a namespace."""
        return await self._find_ids(_sql.find_claiming_heads, sorted(heads), sorted(namespaces))

    async def point(self, view: StoredView, absorbed: Iterable[UUID], head: UUID) -> None:
        """Point the fragments of absorbed profiles at the fragment that heads their profile now."""
        await self._executor.execute(_POINT[view], self._dataset_id, sorted(absorbed), head)

    async def find_of_users(self, users: Iterable[str]) -> set[UUID]:
        """The fragments that users own, or that a report names them for."""
        return await self._find_ids(_sql.find_of_users, sorted(users))

    async def find_believed(self, profile_ids: Iterable[UUID]) -> set[UUID]:
        """The fragments whose first observation is attached to one of these profiles."""
        return await self._find_ids(_sql.find_believed, sorted(profile_ids))

    async def find_believed_of(self, fragment_ids: Collection[UUID]) -> dict[UUID, UUID]:
        """Fragment → the profile that its first observation is attached to."""
        if not fragment_ids:
            return {}
        found = await self._executor.fetch(_sql.find_believed_of, self._dataset_id, sorted(fragment_ids))
        return {row["fragment_id"]: row["believed_id"] for row in found}

    async def put_believed(self, believed: Mapping[UUID, UUID]) -> None:
        """Record which profiles the first observations of fragments are attached to."""
        if believed:
            columns = rows.columns(2, sorted(believed.items()))
            await self._executor.execute(_sql.put_believed, self._dataset_id, *columns)

    async def find_of_log(self, profile_ids: Iterable[UUID]) -> set[UUID]:
        """The fragments of the log entries that are attached to profiles."""
        return await self._find_ids(_sql.find_of_log, sorted(profile_ids))

    async def find_begun(self, profile_id: UUID) -> UUID | None:
        """The fragment of the first log entry that is attached to a profile."""
        found: UUID | None = await self._executor.fetchval(_sql.find_begun, self._dataset_id, profile_id)
        return found

    async def find_entries(self, fragment_ids: Iterable[UUID]) -> dict[EntryKey, UUID]:
        """The log entries of fragments, each with its fragment."""
        found = await self._executor.fetch(_sql.find_entries, self._dataset_id, sorted(fragment_ids))
        return {(row["seq"], row["observation_id"]): row["fragment_id"] for row in found}

    async def find_heads(self, view: StoredView, entries: Iterable[EntryKey]) -> dict[EntryKey, UUID]:
        """The fragments that head the profiles of log entries in a view; erased ones are missing."""
        columns = rows.columns(2, sorted(entries))
        found = await self._executor.fetch(_sql.find_heads, self._dataset_id, view, *columns)
        return {(row["seq"], row["observation_id"]): row["head_id"] for row in found}

    async def insert(self, new: Sequence[FragmentRow]) -> None:
        """Insert fragments, in the order of their ids.

        Raises Contended if another transaction began one meanwhile.
        """
        if new:
            await self._executor.execute(_sql.insert, self._dataset_id, *_columns(new))

    async def update(self, known: Sequence[FragmentRow]) -> bool:
        """Replace fragments, in the order of their ids; False if another transaction changed one since it was
        read."""
        for start in range(0, len(known), UPDATED_AT_ONCE):
            some = known[start : start + UPDATED_AT_ONCE]
            columns = [*_columns(some), [row.read_version for row in some]]
            if len(await self._executor.fetch(_sql.update, self._dataset_id, *columns)) != len(some):
                return False
        return True

    async def update_states(self, known: Sequence[FragmentRow]) -> bool:
        """The same for fragments of which only the state has changed."""
        for start in range(0, len(known), UPDATED_AT_ONCE):
            some = known[start : start + UPDATED_AT_ONCE]
            columns = rows.columns(4, ((*_state_row(row.fragment), row.read_version) for row in some))
            if len(await self._executor.fetch(_sql.update_states, self._dataset_id, *columns)) != len(some):
                return False
        return True

    async def put_claims(self, claims: Iterable[tuple[Tenure, UUID, int, int]]) -> None:
        """Record that fragments have, or had, claims: (identifier, fragment, evidence, since)."""
        found = sorted(
            (t.identifier.namespace, t.identifier.value, t.number, fragment_id, level, since)
            for t, fragment_id, level, since in claims
        )
        if found:
            await self._executor.execute(_sql.put_claims, self._dataset_id, *rows.columns(6, found))

    async def delete_claims(self, claims: Iterable[tuple[Tenure, UUID]]) -> None:
        """Forget claims that fragments no longer keep."""
        found = sorted(
            (t.identifier.namespace, t.identifier.value, t.number, fragment_id) for t, fragment_id in claims
        )
        if found:
            await self._executor.execute(_sql.delete_claims, self._dataset_id, *rows.columns(4, found))

    async def copy_entries(self, entries: Sequence[FragmentEntry]) -> None:
        """Record in the scratch table which fragments entries belong to. Needs a transaction."""
        assert not isinstance(self._executor, Database)
        records = [(self._dataset_id, *msgspec.structs.astuple(entry)) for entry in entries]
        if records:
            await self._executor.copy_records_to_table(
                "fragment_entry", columns=_ENTRY_COLUMNS, records=records
            )

    async def find_activity(self, asked: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], int]:
        """(fragment, seq) → its last activity before that observation, in µs since 1970."""
        columns = rows.columns(2, sorted(asked))
        found = await self._executor.fetch(_sql.find_activity, self._dataset_id, *columns)
        return {(row["fragment_id"], row["seq"]): row["active_at"] for row in found}

    async def find_last_activity(self, fragment_ids: Iterable[UUID]) -> dict[UUID, int]:
        """Fragment → its last activity, in µs since 1970; those that never were active are missing."""
        found = await self._executor.fetch(_sql.find_last_activity, self._dataset_id, sorted(fragment_ids))
        return {row["fragment_id"]: row["active_at"] for row in found}

    async def delete(self, fragment_ids: Iterable[UUID]) -> None:
        """Delete fragments with their claims; their entries of the log belong to none from then on."""
        await self._executor.execute(_sql.delete, self._dataset_id, sorted(fragment_ids))

    async def _find_ids(self, statement: str, *columns: list[Any]) -> set[UUID]:
        if not columns[0]:
            return set()
        found = await self._executor.fetch(statement, self._dataset_id, *columns)
        return {row["fragment_id"] for row in found}


def _locked(fragments: Iterable[FragmentRow], found: Iterable[Any]) -> LockedFragments:
    """Fragments from rows with `decided_columns`."""
    joins = [_decode_joins(row["person_joins"]) for row in found if row["person_joins"] is not None]
    separated = {row["fragment_id"] for row in found if row["is_kept_apart"]}
    return LockedFragments(list(fragments), list(chain.from_iterable(joins)), separated)


def _identifier_columns(identifiers: Collection[Identifier]) -> tuple[list[str], list[str]]:
    ordered = sorted(set(identifiers))
    return [item.namespace for item in ordered], [item.value for item in ordered]


def _columns(changed: Sequence[FragmentRow]) -> rows.Columns:
    return rows.columns(len(FRAGMENT_COLUMNS), map(_row, changed))


def _row(row: FragmentRow) -> tuple[object, ...]:
    fragment = row.fragment
    fragment_id, state, seq = _state_row(fragment)
    return (
        fragment_id, row.believed_id, fragment.origin,
        None if fragment.owner is None else fragment.owner.user_id,
        None if fragment.reported is None else fragment.reported.user_id,
        row.exact_key, state, row.own_id, row.proven_id,
        rows.encode_json(row.values), row.updated_at, row.created_at, seq,
    )  # fmt: skip


def _state_row(fragment: Fragment) -> tuple[UUID, str, int]:
    """The columns that have what a fragment itself says."""
    state = {name: value for name in _STATE if (value := getattr(fragment, name))}
    return fragment.fragment_id, _encode_state(state).decode(), fragment.seq


def read_fragment(row: Any) -> FragmentRow:
    """A fragment from a row with `fragment_columns`."""
    return FragmentRow(
        fragment=msgspec.structs.replace(_decode_state(row["state"]), seq=row["seq"]),
        believed_id=row["believed_id"],
        own_id=row["own_id"],
        proven_id=row["proven_id"],
        values=msgspec.json.decode(row["record_values"]),
        updated_at=row["updated_at"],
        created_at=row["created_at"],
        exact_key=row["exact_key"],
        read_version=row["read_version"],
    )
