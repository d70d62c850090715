"""Everything that is stored about one person, read at one instant.

    all             what is attached to the profiles that are merged into one
    own, proven     what the fragments of the profile have: nothing that is only believed to be theirs

Invariants: read-only. In the narrower views no id of another person's profile is in it.

Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import user_in, user_since
from oneself.core.identity_graph.names import ProfileNames
from oneself.core.profiles.profile import Profile
from oneself.service.profiles.view_lookup import find_names
from oneself.store.tables.claim import RecordedClaim
from oneself.store.tables.fragment import StoredView
from oneself.store.transaction import Tables
from oneself.store.view_reader import Viewed, read_view

#: What an observation repeats of the believed state: the token and the profile that it addressed there.
_BELIEVED_FIELDS = ("remembered", "believed_id")


class RecordedIdentifier(msgspec.Struct, frozen=True):
    """An identifier that a profile holds or had. Instants in µs since 1970."""

    identifier: Identifier
    profile_id: UUID
    seq: int
    trust: str
    at: int
    #: None while the profile holds it.
    until_seq: int | None


class PersonData(msgspec.Struct, frozen=True):
    """What is stored about one person."""

    survivor: Profile
    absorbed: list[Profile]
    identifiers: list[RecordedIdentifier]
    merges: list[dict[str, Any]]
    refusals: list[dict[str, Any]]
    entries: list[LogEntry]
    #: What people decided about its parts.
    decisions: list[LogEntry]


async def read_believed(tables: Tables, profile_id: UUID) -> PersonData | None:
    """The data of a person as the business believes it; None if the profile is unknown or erased."""
    profiles = {profile.profile_id: profile for profile in await tables.profiles.find_unified(profile_id)}
    if profile_id not in profiles:
        return None
    ids = sorted(profiles)
    return PersonData(
        survivor=next(profile for profile in profiles.values() if not profile.is_absorbed),
        absorbed=[profile for profile in profiles.values() if profile.is_absorbed],
        identifiers=[_recorded(claim) for claim in await tables.claims.find_of_profiles(ids)],
        merges=await tables.merges.find_of_profiles(ids),
        refusals=await tables.refusals.find_of_profiles(ids),
        entries=await tables.log.find_of_profiles(ids),
        decisions=await tables.log.find_decisions_of(await tables.fragments.find_believed(ids)),
    )


async def read_parts(tables: Tables, view: StoredView, profile_id: UUID, config: Config) -> PersonData | None:
    """The data of a profile in a narrower view; None if it is unknown or erased."""
    found = await read_view(tables, view, profile_id, config)
    if found is None:
        return None
    head = found.survivor.profile_id
    fragments = [row.fragment for row in await tables.fragments.find_members(view, head)]
    ids = [head, *(part.profile_id for part in found.absorbed)]
    names = {item.profile_id: item for item in await find_names(tables, ids, view)}
    activity = await tables.fragments.find_last_activity(item.fragment_id for item in fragments)
    owners = await tables.fragments.find_entries(item.fragment_id for item in fragments)
    entries = await tables.log.find_of_fragments(owners, ())
    return PersonData(
        survivor=_named(found.survivor, names, activity),
        absorbed=list(_absorbed(found, names, fragments, activity)),
        identifiers=sorted(
            (item for fragment in fragments for item in _identifiers(fragment, view, ids)),
            key=lambda item: (item.seq, item.identifier, item.profile_id),
        ),
        merges=[_merge(head, part.profile_id, part.reason, part.seq) for part in found.absorbed],
        refusals=list(_own_refusals(await tables.refusals.find_of_profiles(ids), ids)),
        entries=[_of_fragment(entry, owners[entry.seq, entry.observation_id], ids) for entry in entries],
        decisions=await tables.log.find_decisions_of(item.fragment_id for item in fragments),
    )


def _recorded(recorded: RecordedClaim) -> RecordedIdentifier:
    claim = recorded.claim
    return RecordedIdentifier(
        claim.identifier, claim.profile_id, claim.seq, claim.trust, claim.at, recorded.until_seq
    )


def _named(survivor: Profile, names: Mapping[UUID, ProfileNames], activity: Mapping[UUID, int]) -> Profile:
    """The survivor with its primary id and its last activity. `activity`: of its fragments."""
    active_at = max(activity.values(), default=0)
    primary_id = names[survivor.profile_id].primary_id
    return msgspec.structs.replace(survivor, primary_id=primary_id, active_at=active_at)


def _absorbed(
    found: Viewed,
    names: Mapping[UUID, ProfileNames],
    fragments: Iterable[Fragment],
    activity: Mapping[UUID, int],
) -> Iterator[Profile]:
    """The profiles that were merged into the survivor, each as the fragment that headed it."""
    heads = {item.fragment_id: item for item in fragments}
    for part in found.absorbed:
        fragment = heads[part.profile_id]
        yield msgspec.structs.replace(
            found.survivor,
            profile_id=part.profile_id,
            survivor_id=found.survivor.profile_id,
            reason=part.reason,
            user_id=user_in(fragment, "own"),
            primary_id=names[part.profile_id].primary_id,
            created_at=fragment.began_at,
            updated_at=part.seq,
            active_at=activity.get(fragment.fragment_id, 0),
        )


def _identifiers(fragment: Fragment, view: StoredView, ids: list[UUID]) -> Iterator[RecordedIdentifier]:
    """The identifiers of a fragment: its user, its claims, proven and asserted ones, and its browser."""
    profile_id = _listed_id(fragment.fragment_id, ids)
    user, since = user_in(fragment, view), user_since(fragment, view)
    if user is not None and since is not None:
        yield RecordedIdentifier(Identifier(USER_ID, user), profile_id, since, "server", since, None)
    if fragment.browser is not None:
        began_at = fragment.began_at
        yield RecordedIdentifier(fragment.browser, profile_id, began_at, "browser", began_at, None)
    for claim in fragment.claims:
        trust = "server" if claim.level > EvidenceLevel.ASSERTED else "browser"
        yield RecordedIdentifier(
            claim.tenure.identifier, profile_id, claim.since, trust, claim.at or claim.since, claim.until
        )


def _merge(survivor_id: UUID, absorbed_id: UUID, reason: str, seq: int) -> dict[str, Any]:
    return {"absorbed_id": absorbed_id, "survivor_id": survivor_id, "seq": seq, "reason": reason}


def _own_refusals(refusals: Iterable[dict[str, Any]], ids: list[UUID]) -> Iterator[dict[str, Any]]:
    """The refusals that concern these profiles, without the ids of other people's."""
    for refusal in refusals:
        own = [item for item in (refusal["profile_id"], refusal["other_id"]) if item in ids]
        yield {**refusal, "profile_id": own[0], "other_id": own[1] if len(own) > 1 else None}


def _of_fragment(entry: LogEntry, fragment_id: UUID, ids: list[UUID]) -> LogEntry:
    """The entry as one of the view: attached to its fragment, not to whom the business believes it of."""
    content = {name: part for name, part in entry.content.items() if name not in _BELIEVED_FIELDS}
    return msgspec.structs.replace(entry, profile_id=_listed_id(fragment_id, ids), content=content)


def _listed_id(fragment_id: UUID, ids: list[UUID]) -> UUID:
    """The profile id under which a view answers for a fragment. `ids`: the survivor's, then the absorbed."""
    return fragment_id if fragment_id in ids else ids[0]
