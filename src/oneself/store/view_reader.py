"""Profiles as one view shows them, read from the identity graph.

Invariants: read-only. The view `all` is not here: it is the table `profile`.

Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.choices import EffectiveChoice
from oneself.core.identity_graph.joins import View, user_in
from oneself.core.identity_graph.replay import record_of, replay
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.consent import Choice, Choices
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.values.record import Record
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Tables


class Viewed(msgspec.Struct, frozen=True):
    """A profile in a view, with its survivor and what the survivor absorbed there."""

    profile: Profile
    survivor: Profile
    #: In the order of absorption.
    absorbed: tuple[Absorbed, ...]


async def read_view(tables: Tables, view: View, profile_id: UUID, config: Config) -> Viewed | None:
    """A profile in the view `own` or `proven`, by the id of any of its fragments; None: unknown or erased.

    A fragment that began inside the view has no id of its own there: the survivor answers for it.
    """
    found = await tables.fragments.find([profile_id])
    return await _read(tables, view, found[0], config) if found else None


async def read_own(tables: Tables, user_id: str, config: Config) -> Viewed | None:
    """What a user owns; None: the user is unknown."""
    found = await tables.fragments.find((), [user_id])
    viewed = await _read(tables, "own", found[0], config) if found else None
    return None if viewed is None else msgspec.structs.replace(viewed, profile=viewed.survivor)


async def read_by_tracker(tables: Tables, tracker: str, config: Config) -> Viewed | None:
    """What whoever brings a tracker may read; None: the tracker leads nowhere.

    That is the values of the browser's present fragments, their owner, and the ids of the view `own`. The
    times are those of the fragments: nobody learns from a tracker what happens elsewhere.
    """
    device = Identifier(TRACKER, tracker)
    browser = (await tables.browsers.find([device])).get(device)
    if browser is None or not browser.present:
        return None
    rows = {row.fragment.fragment_id: row for row in await tables.fragments.find(browser.present)}
    present = [rows[item] for item in browser.present if item in rows]
    if not present:
        return None
    current = rows.get(browser.current, present[-1]) if browser.current is not None else present[-1]
    own = await _read(tables, "own", current, config)
    writes = sorted((w for row in present for w in row.fragment.writes), key=lambda write: write.seq)
    owners = (row.fragment.owner.user_id for row in present if row.fragment.owner is not None)
    survivor = Profile(
        profile_id=own.survivor.profile_id,
        created_at=min(row.fragment.began_at for row in present),
        updated_at=max(row.updated_at for row in present),
        active_at=0,
        seq=0,
        primary_id="",
        record=record_of(writes, graph_rules(config).fold.values),
        user_id=next(owners, None),
    )
    is_itself = own.profile.profile_id == survivor.profile_id
    return Viewed(survivor if is_itself else own.profile, survivor, ())


async def _read(tables: Tables, view: View, row: FragmentRow, config: Config) -> Viewed:
    survivor_id = row.own_id if view == "own" else row.proven_id
    stored = await tables.view_profiles.find(view, [survivor_id])
    if stored:
        survivor, parts = _of_several(stored[0]), stored[0].absorbed
    else:
        is_itself = survivor_id == row.fragment.fragment_id
        (head,) = [row] if is_itself else await tables.fragments.find([survivor_id])
        survivor, parts = _alone(head, view, config), ()
    absorbed = tuple(Absorbed(part.head, part.reason, part.seq) for part in parts)
    own = next((item for item in absorbed if item.profile_id == row.fragment.fragment_id), None)
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
