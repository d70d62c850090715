"""Conversion between core values and rows.

Rows travel as columns (one array each), so that one statement serves every batch size.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.consent import Choices
from oneself.core.profiles.owned_objects import Objects
from oneself.core.profiles.profile import Absorbed, Profile, Visit
from oneself.core.resolution.working_set import MergeRecord, RefusalRecord
from oneself.core.values.record import Record, ValueSource

Columns = list[list[Any]]
#: A database row: anything that gives a column by its name.
Row = Any

_provenance = msgspec.json.Decoder(dict[str, tuple[ValueSource, ...]])
_identities = msgspec.json.Decoder(dict[str, tuple[str, ...]])
_choices = msgspec.json.Decoder(Choices)
_visits = msgspec.json.Decoder(tuple[Visit, ...])
_objects = msgspec.json.Decoder(Objects)
_aliases = msgspec.json.Decoder(tuple[tuple[str, int], ...])
_encode = msgspec.json.Encoder().encode


def encode_json(value: object) -> str:
    """JSON text for a jsonb column."""
    return _encode(value).decode()


def lock_hash(dataset_id: int, *parts: str) -> int:
    """The 64-bit key under which one thing of a dataset is locked."""
    text = "\x1f".join((str(dataset_id), *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def config_hash(dataset_id: int) -> int:
    """The key under which a dataset's configuration is locked."""
    return lock_hash(dataset_id, "config")


def read_profile(row: Row) -> Profile:
    """A profile from a row of `find_profiles` and its like."""
    return Profile(
        profile_id=row["profile_id"],
        survivor_id=row["survivor_id"],
        reason=row["reason"],
        primary_id=row["primary_id"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        active_at=row["active_at"],
        seq=row["seq"],
        erased=row["erased"],
        record=read_record(row),
        identities=_identities.decode(row["identities"]),
        consents=_choices.decode(row["consents"]),
        visit_at=row["visit_at"],
        aliases=_aliases.decode(row["aliases"]),
        visits=_visits.decode(row["visits"]),
        first_active_at=row["first_active_at"],
        objects=_objects.decode(row["objects"]),
    )


def read_record(row: Row) -> Record:
    """What a row with `record_values` and `provenance` has of a profile."""
    return decode_record(row["record_values"], row["provenance"])


def decode_record(values: str, provenance: str) -> Record:
    """A record from its two columns."""
    return Record(msgspec.json.decode(values), _provenance.decode(provenance))


def read_claim(row: Row) -> Claim:
    """A claim from a row of `find_claims`."""
    identifier = Identifier(row["namespace"], row["value"])
    return Claim(identifier, row["profile_id"], row["seq"], row["trust"], row["at"], row["since"])


def read_aliases(row: Row) -> tuple[tuple[str, int], ...]:
    """The former primary ids of a row with `aliases`, each with the instant until which it was one."""
    return _aliases.decode(row["aliases"])


def read_members(rows: Iterable[Row]) -> dict[UUID, tuple[Absorbed, ...]]:
    """Survivor → absorbed profiles, from rows of `find_members`."""
    members: dict[UUID, list[Absorbed]] = {}
    for row in rows:
        absorbed = Absorbed(row["profile_id"], row["reason"], row["seq"])
        members.setdefault(row["survivor_id"], []).append(absorbed)
    return {survivor_id: tuple(absorbed) for survivor_id, absorbed in members.items()}


def profile_columns(profiles: Sequence[Profile]) -> Columns:
    """Columns for `put_profiles`: absorbed profiles first, so that no user ever stands twice."""
    ordered = sorted(profiles, key=lambda p: (p.survivor_id is None, p.profile_id.int))
    return columns(19, (_profile_row(profile) for profile in ordered))


def _profile_row(p: Profile) -> tuple[object, ...]:
    return (
        p.profile_id, p.survivor_id, p.reason, p.primary_id, p.user_id, p.created_at, p.updated_at,
        p.active_at, p.seq, p.erased, encode_json(p.record.values), encode_json(p.record.provenance),
        encode_json(p.identities), encode_json(p.consents), p.visit_at, encode_json(p.aliases),
        encode_json(p.visits), p.first_active_at, encode_json(p.objects),
    )  # fmt: skip


def activity_columns(profiles: Iterable[Profile]) -> Columns:
    """Columns for `put_activity`, in the order of the ids, as `lock` took them."""
    ordered = sorted(profiles, key=lambda p: p.profile_id.int)
    return columns(4, map(activity_row, ordered))


def source_columns(profiles: Iterable[Profile]) -> Columns:
    """Columns for `put_sources`, in the order of the ids, as `lock` took them."""
    ordered = sorted(profiles, key=lambda p: p.profile_id.int)
    return columns(5, ((*activity_row(p), encode_json(p.record.provenance)) for p in ordered))


def activity_row(p: Profile) -> tuple[object, ...]:
    """The parameters of `put_activity` for one profile."""
    return p.profile_id, p.active_at, p.seq, p.visit_at


def claim_columns(claims: Iterable[Claim]) -> Columns:
    """Columns for `put_claims`."""
    return columns(7, (_claim_row(claim) for claim in claims))


def release_columns(released: Iterable[tuple[Claim, int]]) -> Columns:
    """Columns for `put_releases`."""
    return columns(8, ((*_claim_row(claim), until) for claim, until in released))


def _claim_row(c: Claim) -> tuple[object, ...]:
    return c.identifier.namespace, c.identifier.value, c.profile_id, c.seq, c.trust, c.at, c.since


def merge_columns(merged: Iterable[MergeRecord]) -> Columns:
    """Columns for `put_merges`."""
    return columns(7, (merge_row(m) for m in merged))


def merge_row(m: MergeRecord) -> tuple[object, ...]:
    """The columns of a merge, as `put_merges` takes them."""
    via = m.merge.identifier
    namespace, value = (via.namespace, via.value) if via else (None, None)
    return m.merge.absorbed_id, m.seq, m.survivor_id, m.merge.reason, namespace, value, m.observation_id


def refusal_columns(refused: Iterable[RefusalRecord]) -> Columns:
    """Columns for `put_refusals`: equal refusals of one batch counted in one row."""
    counted: dict[tuple[str, UUID, UUID, str], list[int]] = {}
    for r in refused:
        refusal = r.refusal
        key = refusal.code, r.profile_id, refusal.other_id or r.profile_id, refusal.namespace or ""
        first, _, times = counted.get(key, [r.seq, r.seq, 0])
        counted[key] = [first, r.seq, times + 1]
    return columns(7, ((*key, *counted[key]) for key in sorted(counted)))


def columns(width: int, rows: Iterable[Sequence[object]]) -> Columns:
    """Rows turned into one list per column."""
    found = [list(column) for column in zip(*rows, strict=True)]
    return found or [[] for _ in range(width)]
