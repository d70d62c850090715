"""Profiles as one view shows them, read from the identity graph.

Invariants: read-only. The view `all` is not here: it is the table `profile`.

Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.browser import BrowserFragments
from oneself.core.identity_graph.choices import EffectiveChoice
from oneself.core.identity_graph.fragment_record import record_of
from oneself.core.identity_graph.joins import View, user_in
from oneself.core.identity_graph.replay import replay
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.consent import Choice, Choices, merge_choices
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.values.record import Record
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.tables.view_profile import ViewedFragment, ViewRow
from oneself.store.transaction import Tables


class Viewed(msgspec.Struct, frozen=True):
    """A profile in a view, with its survivor and what the survivor absorbed there."""

    profile: Profile
    survivor: Profile
    #: In the order of absorption.
    absorbed: tuple[Absorbed, ...]
    #: By tracker: the fragments whose values it has.
    visible_fragments: frozenset[UUID] = frozenset()


async def read_view(tables: Tables, view: View, profile_id: UUID, config: Config) -> Viewed | None:
    """A profile in the view `own` or `proven`, by the id of any of its fragments; None: unknown or erased.

    A fragment that began inside the view has no id of its own there: the survivor answers for it.
    """
    found = await tables.view_profiles.find_of_fragment(view, profile_id)
    return None if found is None else _viewed(found, view, config)


async def read_alone(tables: Tables, view: StoredView, fragment_id: UUID, config: Config) -> Viewed | None:
    """The profile that a fragment belongs to in a view, without what it absorbed; None: unknown or erased."""
    found = await tables.view_profiles.find_alone_of_fragment(view, fragment_id)
    return None if found is None else _viewed(found, view, config)


async def read_inside(tables: Tables, view: StoredView, profile_id: UUID, config: Config) -> Viewed | None:
    """The profile of a view that has the words which began a believed profile; None: there is none.

    The words belong to a fragment that was there before, so that none has the id. If the business knows the
    believed profile as another user's, the id means nobody here.
    """
    believed = await tables.profiles.find_unified(profile_id)
    began = await tables.fragments.find_begun(profile_id) if believed else None
    found = None if began is None else await tables.view_profiles.find_of_fragment(view, began)
    if found is None:
        return None
    viewed = _viewed(found, view, config)
    users = {item.user_id for item in believed if not item.is_absorbed}
    if not users <= {None, viewed.survivor.user_id}:
        return None
    return msgspec.structs.replace(viewed, profile=viewed.survivor)


async def read_own(tables: Tables, user_id: str, config: Config) -> Viewed | None:
    """What a user owns; None: the user is unknown."""
    found = await tables.view_profiles.find_of_user("own", user_id)
    if found is None:
        return None
    viewed = _viewed(found, "own", config)
    return msgspec.structs.replace(viewed, profile=viewed.survivor)


async def read_by_tracker(tables: Tables, tracker: str, config: Config) -> Viewed | None:
    """What whoever brings a tracker may read; None: the tracker leads nowhere.

    That is the values of the browser's present fragments, their owner, and the ids of the view `own` of the
    first: a wider view would tell whom servers believe to be in front of the browser. The times are those of
    the fragments: nobody learns from a tracker what happens elsewhere. The consent choices are those of the
    owner; without one, the most restrictive of the fragments'.
    `tables`: as they are at one instant.
    """
    present = await _present(tables, tracker)
    if not present:
        return None
    own = await read_view(tables, "own", present[0].fragment.fragment_id, config)
    if own is None:
        return None
    writes = sorted((w for row in present for w in row.fragment.writes), key=lambda write: write.seq)
    owners = (row.fragment.owner.user_id for row in present if row.fragment.owner is not None)
    owner = next(owners, None)
    alone = (_alone(row, "own", config).consents for row in present)
    survivor = Profile(
        profile_id=own.survivor.profile_id,
        created_at=min(row.fragment.began_at for row in present),
        updated_at=max(row.updated_at for row in present),
        active_at=0,
        seq=0,
        primary_id="",
        record=record_of(writes, graph_rules(config).fold.values),
        user_id=owner,
        consents=reduce(merge_choices, alone) if owner is None else own.survivor.consents,
    )
    fragments = frozenset(row.fragment.fragment_id for row in present)
    return Viewed(own.profile if own.profile.is_absorbed else survivor, survivor, (), fragments)


async def is_reported(tables: Tables, tracker: str, user_id: str) -> bool:
    """Whether a user is reported for a browser that is not proven to be theirs."""
    fragments = [row.fragment for row in await _present(tables, tracker)]
    unproven = [item for item in fragments if item.owner is None]
    if any(item.reported is not None and item.reported.user_id == user_id for item in unproven):
        return True
    is_theirs = not unproven and all(item.user_id == user_id for item in fragments)
    return not is_theirs and (await _browser(tables, tracker)).reported_user == user_id


async def is_linked(tables: Tables, profile_id: UUID, user_id: str, tracker: str | None) -> bool:
    """Whether a link of a fragment to a user, perhaps with the tracker of a browser, changes nothing."""
    rows = await tables.fragments.find([profile_id])
    if [row.fragment.user_id for row in rows] != [user_id]:
        return False
    present = [] if tracker is None else await _present(tables, tracker)
    owners = (row.fragment.owner for row in present)
    return all(owner is not None and owner.user_id == user_id for owner in owners)


async def _browser(tables: Tables, tracker: str) -> BrowserFragments:
    device = Identifier(TRACKER, tracker)
    return (await tables.browsers.find([device])).get(device, BrowserFragments())


async def _present(tables: Tables, tracker: str) -> list[FragmentRow]:
    """The present fragments of a browser, the oldest first."""
    browser = await _browser(tables, tracker)
    rows = {row.fragment.fragment_id: row for row in await tables.fragments.find(browser.present)}
    return [rows[item] for item in browser.present if item in rows]


def _viewed(found: ViewedFragment, view: View, config: Config) -> Viewed:
    unified = found.unified
    survivor = _alone(found.head, view, config) if unified is None else _of_several(unified)
    parts = () if unified is None else unified.absorbed
    absorbed = tuple(Absorbed(part.head, part.reason, part.seq) for part in parts)
    own = next((item for item in absorbed if item.profile_id == found.fragment_id), None)
    if own is None:
        return Viewed(survivor, survivor, absorbed)
    profile = msgspec.structs.replace(
        survivor, profile_id=own.profile_id, survivor_id=survivor.profile_id, reason=own.reason
    )
    return Viewed(profile, survivor, absorbed)


def _alone(row: FragmentRow, view: View, config: Config) -> Profile:
    """The profile of a single fragment."""
    fragment = row.fragment
    part = replay((fragment,), (), view, graph_rules(config).fold.values, lambda fragment_id, seq: 0)
    user = user_in(fragment, view)
    return _profile(fragment.fragment_id, part.record, part.choices, user, fragment.began_at, row.updated_at)


def _of_several(row: ViewRow) -> Profile:
    return _profile(row.profile_id, row.record, row.choices, row.user_id, row.created_at, row.updated_at)


def _profile(
    profile_id: UUID,
    record: Record,
    choices: Mapping[str, EffectiveChoice],
    user_id: str | None,
    created_at: int,
    updated_at: int,
) -> Profile:
    return Profile(
        profile_id=profile_id,
        created_at=created_at,
        updated_at=updated_at,
        active_at=0,
        seq=updated_at,
        primary_id="",
        record=record,
        user_id=user_id,
        consents=_consents(profile_id, choices),
    )


def _consents(profile_id: UUID, choices: Mapping[str, EffectiveChoice]) -> Choices:
    found = {category: item.choice for category, item in choices.items()}
    return {
        category: Choice(bool(choice.is_consented), choice.at, profile_id, choice.seq)
        for category, choice in found.items()
    }
