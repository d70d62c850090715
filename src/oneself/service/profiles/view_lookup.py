"""Look-up in the views `own` and `proven`, from the identity graph. Read-only.

    an id                          means, in this order
    a profile id                   that profile
    24 or 16 hex digits            the profile whose id begins so, if it was ever called so in the view
    an id of the view `all` alone  the profile with the words that began that one
    an anonymous id                the profile that was called so, else that in which its browser last spoke
    namespace:value                the profile of the user who has verified it; else the profile that a server
                                   said it of since it last changed hands: it holds it, else it held it last

A set of identities means the same profile as each of them does: the verified one goes first.

Invariants: what was only asserted finds nobody. The names of a profile depend on its own fragments alone.

Source: docs/concepts/trust.md, "Views"; docs/wire/interactions.md §9.3, §9.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.identity.normalise import display_value
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import FragmentClaim
from oneself.core.identity_graph.joins import user_in
from oneself.core.identity_graph.names import ProfileNames, is_former_id, names_of, proven_claims
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.profile import Profile
from oneself.service.context import DatasetRef
from oneself.service.profiles.ids import (
    CANDIDATES_MAX,
    Alias,
    AliasedProfile,
    Resolved,
    id_range,
    identifier_in,
    profile_id_in,
)
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.transaction import Tables, snapshot
from oneself.store.view_reader import Viewed, read_inside, read_view


class _Holder(msgspec.Struct, frozen=True):
    """A fragment of which a server or a provider said an identifier."""

    row: FragmentRow
    is_present: bool
    #: Whether its user has verified the identifier.
    is_verified: bool
    #: How often the identifier had changed hands.
    tenure: int
    #: The seq of the claim.
    since: int
    #: The seq at which it ended; 0: it is present.
    until: int = 0
    #: Of the namespace; the lower goes first.
    priority: int = 0

    def rank(self) -> tuple[bool, bool, int, int, bool, UUID]:
        """The sort key among those of one identifier, best first: the older claim, or the later end.

        Of two equally old ones, a server's record goes before the browser that it was said of.
        """
        older = self.since - self.until
        return not self.is_present, not self.is_verified, -self.tenure, older, *self._tie

    def rank_in_set(self) -> tuple[bool, int, int, bool, UUID]:
        """The sort key among those of several identifiers, best first: as joins count."""
        return not self.is_verified, self.priority, self.since, *self._tie

    @property
    def _tie(self) -> tuple[bool, UUID]:
        return self.row.fragment.browser is not None, self.row.fragment.fragment_id


class ViewLookup:
    """Finds profiles of the views `own` and `proven` by their ids and identities."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self,
        dataset_ref: DatasetRef,
        text: str,
        view: StoredView,
        config: Config,
        *,
        has_words: bool = True,
    ) -> ProfileView | None:
        """The profile that an id means in a view; None if it means none.

        Only a profile id means an absorbed profile itself; every other id means the survivor.
        `has_words`: whether an id that only the view `all` has means the profile with the words that began
        it.
        """
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            if (profile_id := profile_id_in(text)) is not None:
                found = await read_view(tables, view, profile_id, config)
                if found is not None:
                    return ProfileView(found.profile, found.survivor, found.absorbed, config, view)
            row = await _find_called(tables, text, view) or await _find_named(tables, text, view, config)
            found = None if row is None else await read_view(tables, view, row.head_in(view), config)
            if found is None and has_words:
                found = await _read_inside(tables, text, view, config)
        if found is None:
            return None
        return ProfileView(found.survivor, found.survivor, found.absorbed, config, view)

    async def find_fragment(
        self, tables: Tables, text: str, view: StoredView, config: Config
    ) -> FragmentRow | None:
        """The fragment that an id means, of the profile that `find` answers with; None if it means none."""
        if (profile_id := profile_id_in(text)) is not None:
            row = await _find_fragment(tables, profile_id)
            if row is not None:
                return row
        row = await _find_called(tables, text, view) or await _find_named(tables, text, view, config)
        inside = await _read_inside(tables, text, view, config) if row is None else None
        return row if inside is None else await _find_fragment(tables, inside.survivor.profile_id)

    async def find_candidates(self, dataset_ref: DatasetRef, called: str, view: StoredView) -> set[UUID]:
        """The profiles that an anonymous id may mean: those that were called so in the view, that in which
        its browser last spoke, and in the view `proven` those of whom servers said it.

        None for an id that the service made, and for a named user's.
        """
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            meant = await tables.profiles.find_of_anonymous_id(called, id_range(called), CANDIDATES_MAX)
            if not meant:
                return set()
            rows = await tables.fragments.find(item.profile_id for item in meant if item.is_called)
            candidates = [row for row in rows if called in await _every_name(tables, row, view)]
            device = Identifier(ANONYMOUS_ID, called)
            spoken = await _find_in_browser(tables, device)
            tied = await _find_tied_by_servers(tables, device) if view == "proven" else []
        return {row.head_in(view) for row in (*candidates, spoken, *tied) if row is not None}

    async def resolve(
        self, dataset_ref: DatasetRef, identifiers: Iterable[Identifier], view: StoredView, config: Config
    ) -> Resolved | None:
        """The profile of which a server said one of these identifiers; None if there is none.

        `identifiers`: of persons, normalised.
        """
        priorities = graph_rules(config).guards.priorities
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            found = [
                msgspec.structs.replace(holder, priority=priorities.get(item.namespace, 0))
                for item in identifiers
                for holder in _latest(await _holders(tables, item, view))
            ]
            found.sort(key=_Holder.rank_in_set)
            heads = list(dict.fromkeys(holder.row.head_in(view) for holder in found))
            names = await find_names(tables, heads, view)
        if not names:
            return None
        matched = tuple(item.primary_id for item in names)
        return Resolved(matched[0], names[0].profile_id, matched)

    async def person(
        self, dataset_ref: DatasetRef, view: ProfileView, *, parts_max: int | None = None
    ) -> AliasedProfile:
        """The survivor of a view with its names there. `parts_max`: as for `Lookup.devices`."""
        assert view.view != "all"
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            names = await find_names(tables, view.profile_ids[:parts_max], view.view)
        merged_at = {item.profile_id: item.seq for item in view.absorbed}
        former = [alias for item in names for alias in _aliases(item, merged_at.get(item.profile_id))]
        called = next((item.primary_id for item in names if item.profile_id not in merged_at), "")
        survivor = msgspec.structs.replace(view.survivor, primary_id=called)
        return AliasedProfile(survivor, tuple(sorted(former, key=lambda alias: alias.at)))

    async def devices(
        self, dataset_ref: DatasetRef, view: ProfileView, *, parts_max: int | None = None
    ) -> tuple[Identifier, ...]:
        """The browsers whose words are those of a profile at present, the oldest first.

        `parts_max`: as for `Lookup.devices`.
        """
        assert view.view != "all"
        head = view.survivor.profile_id
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            if parts_max is None:
                members = await tables.fragments.find_members(view.view, head)
            else:
                some = await tables.fragments.find_some_members(view.view, [head], parts_max)
                members = await tables.fragments.find(some[head])
            begun = sorted((row.fragment for row in members), key=lambda item: item.began_at)
            sources = {item.fragment_id: item.browser for item in begun if item.browser is not None}
            browsers = await tables.browsers.find(frozenset(sources.values()))
        present = (device for item, device in sources.items() if item in browsers[device].present)
        return tuple(dict.fromkeys(present))


async def _read_inside(tables: Tables, text: str, view: StoredView, config: Config) -> Viewed | None:
    """The profile that has the words which began a profile of the view `all`, by an id of that one."""
    called = display_value(text)
    if not called or "\x00" in called:
        return None
    profile_id = await tables.profiles.find_called(called, id_range(called))
    return None if profile_id is None else await read_inside(tables, view, profile_id, config)


async def _find_called(tables: Tables, text: str, view: StoredView) -> FragmentRow | None:
    """The fragment of a profile that was ever called so in the view, else that of a browser."""
    called = display_value(text)
    if not called or "\x00" in called:
        return None
    first, last = id_range(called)
    begun = None if first is None or last is None else await tables.fragments.find_between(first, last)
    for row in (begun, await _find_begun(tables, called)):
        if row is not None and called in await _every_name(tables, row, view):
            return row
    return await _find_in_browser(tables, Identifier(ANONYMOUS_ID, called))


async def _find_begun(tables: Tables, called: str) -> FragmentRow | None:
    """The fragment of the profile that this id means in the view `all`."""
    profile_id = await tables.profiles.find_called(called, id_range(called))
    return None if profile_id is None else await _find_fragment(tables, profile_id)


async def _find_named(tables: Tables, text: str, view: StoredView, config: Config) -> FragmentRow | None:
    """The fragment that an identifier `namespace:value` means."""
    identifier = identifier_in(text, config)
    if identifier is None:
        return None
    if identifier.is_device:
        return await _find_in_browser(tables, identifier)
    return next((holder.row for holder in await _holders(tables, identifier, view)), None)


async def _find_in_browser(tables: Tables, device: Identifier) -> FragmentRow | None:
    """The fragment in which a browser last spoke.

    An anonymous id that came with a tracker means the profile with which it first came.
    """
    browser = (await tables.browsers.find([device])).get(device)
    if browser is not None:
        spoken = browser.current or next(reversed((*browser.every, *browser.present)), None)
        return None if spoken is None else await _find_fragment(tables, spoken)
    first = next(iter(await tables.claims.find_history([device])), None)
    return None if first is None else await _find_fragment(tables, first.claim.profile_id)


async def _find_tied_by_servers(tables: Tables, device: Identifier) -> list[FragmentRow]:
    """The fragments that have, or had, an identifier which a server said of a browser."""
    browser = (await tables.browsers.find([device])).get(device)
    spoken = await tables.fragments.find(() if browser is None else browser.every)
    tenures = {claim.tenure for row in spoken for claim in proven_claims(row.fragment)}
    claimants = await tables.fragments.find_proven_claimants({tenure.identifier for tenure in tenures})
    return [
        row
        for row in await tables.fragments.find(claimants)
        if any(claim.tenure in tenures for claim in proven_claims(row.fragment))
    ]


async def _find_fragment(tables: Tables, fragment_id: UUID) -> FragmentRow | None:
    return next(iter(await tables.fragments.find([fragment_id])), None)


async def _holders(tables: Tables, identifier: Identifier, view: StoredView) -> list[_Holder]:
    """The fragments of which a server or a provider said an identifier, the best first."""
    if identifier.namespace == USER_ID:
        rows = await tables.fragments.find(await tables.fragments.find_of_users([identifier.value]))
        owned = (row for row in rows if user_in(row.fragment, view) == identifier.value)
        return sorted((_Holder(row, True, True, 0, row.fragment.began_at) for row in owned), key=_Holder.rank)
    rows = await tables.fragments.find(await tables.fragments.find_proven_claimants([identifier]))
    return sorted(
        (
            _holder(row, claim)
            for row in rows
            for claim in proven_claims(row.fragment)
            if claim.tenure.identifier == identifier
        ),
        key=_Holder.rank,
    )


def _holder(row: FragmentRow, claim: FragmentClaim) -> _Holder:
    return _Holder(
        row,
        is_present=claim.is_present,
        is_verified=claim.is_present and claim.level == EvidenceLevel.VERIFIED,
        tenure=claim.tenure.number,
        since=claim.since,
        until=claim.until or 0,
    )


def _latest(holders: list[_Holder]) -> list[_Holder]:
    """Those of one identifier that hold it since it last changed hands."""
    present = [holder for holder in holders if holder.is_present]
    latest = max((holder.tenure for holder in present), default=0)
    return [holder for holder in present if holder.tenure == latest]


async def _every_name(tables: Tables, row: FragmentRow, view: StoredView) -> set[str]:
    """What a fragment's profile is or was called, in the view or in the view `all`.

    An id that the service made names its profile, whatever it was made for. A named id of a legacy dataset is
    an identity, which a server must have said.
    """
    (names,) = await find_names(tables, [row.fragment.fragment_id], view)
    believed = next(iter(await tables.profiles.find([row.fragment.fragment_id])), None)
    former = {claim.tenure.identifier.value for claim in row.fragment.claims if is_former_id(claim)}
    return set(names.every) | (set(_believed_names(believed)) - former)


async def find_names(tables: Tables, profile_ids: Sequence[UUID], view: StoredView) -> list[ProfileNames]:
    """The names of profiles in a view, in this order."""
    fragments = {row.fragment.fragment_id: row.fragment for row in await tables.fragments.find(profile_ids)}
    believed = {item.profile_id: item for item in await tables.profiles.find(profile_ids)}
    return [
        names_of(fragments[item], view, _believed_names(believed.get(item)))
        for item in profile_ids
        if item in fragments
    ]


def _believed_names(profile: Profile | None) -> tuple[str, ...]:
    return () if profile is None else (*(name for name, _ in profile.aliases), profile.primary_id)


def _aliases(names: ProfileNames, merged_at: int | None) -> list[Alias]:
    """The former names of a profile. `merged_at`: the seq at which it was absorbed; None: it was not."""
    promoted = [Alias(name, names.known_since, names.profile_id, "promotion") for name in names.every[:-1]]
    if merged_at is None:
        return promoted
    return [*promoted, Alias(names.primary_id, merged_at, names.profile_id, "merge")]
