"""What an erasure takes: the log entries that the fragments of a profile hold in the view that is named.

Invariants: read-only. Only the view `all` takes what is merely believed to be the person's.

Source: docs/concepts/trust.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from uuid import UUID

import msgspec

from oneself.core.fold.log_entry import EntryKey
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.joins import View
from oneself.service.privacy.account_words import find_words
from oneself.service.privacy.begun_elsewhere import BegunFragment, find_begun
from oneself.store.tables.fragment import FragmentRow, StoredView
from oneself.store.transaction import Tables

#: Bytes of the digest of what an erasure takes.
VERSION_BYTES = 16


class ErasureTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks to erase: a profile in a view, or a user.

    With both, the profile has to be the user's: the id of an absorbed one means its own data alone.
    """

    view: View = "all"
    profile_id: UUID | None = None
    #: Everything that this user owns, and browsers that only a report joined to them.
    user_id: str | None = None
    #: The whole profile, also by the id of an absorbed one.
    as_person: bool = False
    #: The dataset in which the user verifies addresses, if this is another one.
    home_id: int | None = None
    #: Of the user, only what their account said of itself: sign-ins, what was written with its tokens, and
    #: the browsers that it brought. What servers said of the user stays.
    only_words: bool = False


class ErasureSelection(msgspec.Struct, frozen=True):
    """What an erasure takes."""

    fragments: tuple[FragmentRow, ...]
    entries: frozenset[EntryKey]
    #: The profiles that the target has in its view.
    profile_ids: tuple[UUID, ...]
    #: Those of its fragments that a server began with an address that the user verified in another dataset.
    begun: tuple[BegunFragment, ...] = ()
    #: The user whom the entries that are left name afterwards.
    left_to: str | None = None

    @property
    def fragment_ids(self) -> frozenset[UUID]:
        """The fragments that it takes."""
        return frozenset(row.fragment.fragment_id for row in self.fragments)

    @property
    def devices(self) -> frozenset[Identifier]:
        """The browsers whose words it takes."""
        return frozenset(row.fragment.browser for row in self.fragments if row.fragment.browser is not None)

    @property
    def verified(self) -> frozenset[Identifier]:
        """The identifiers that somebody verified of its users."""
        here = frozenset(
            claim.tenure.identifier
            for row in self.fragments
            for claim in row.fragment.claims
            if claim.level == EvidenceLevel.VERIFIED
        )
        return here.union(*(item.verified for item in self.begun))

    @property
    def identifiers(self) -> frozenset[Identifier]:
        """Everything that its fragments ever claimed."""
        return frozenset(claim.tenure.identifier for row in self.fragments for claim in row.fragment.claims)

    @property
    def version(self) -> str:
        """A text that is another one if it takes other fragments, or other identifiers of these."""
        fragments = sorted(str(item) for item in self.fragment_ids)
        named = sorted((item.namespace, item.value) for item in self.identifiers)
        return blake2b(msgspec.json.encode((fragments, named)), digest_size=VERSION_BYTES).hexdigest()

    @property
    def exact(self) -> frozenset[frozenset[Identifier]]:
        """What servers named when they began its fragments, together."""
        begun = (row.fragment.began_with for row in self.fragments if row.fragment.began_with)
        return frozenset(frozenset(tenure.identifier for tenure in tenures) for tenures in begun)


async def select(tables: Tables, target: ErasureTarget) -> ErasureSelection | None:
    """What an erasure of a target takes; None: the target is unknown."""
    if target.user_id is not None and target.only_words:
        return await _select_words(tables, target.user_id)
    if target.user_id is not None and not await is_absorbed(tables, target):
        return await _select_user(tables, target.user_id, target.home_id)
    assert target.profile_id is not None
    if target.view == "all":
        return await _select_believed(tables, target.profile_id, as_person=target.as_person)
    return await _select_viewed(tables, target.view, target.profile_id, as_person=target.as_person)


async def is_absorbed(tables: Tables, target: ErasureTarget) -> bool:
    """Whether the target is a profile that another one absorbed, in what a user owns."""
    if target.profile_id is None:
        return False
    found = await tables.view_profiles.find_of_fragment("own", target.profile_id)
    absorbed = () if found is None or found.unified is None else found.unified.absorbed
    return any(part.head == target.profile_id for part in absorbed)


async def _select_user(tables: Tables, user_id: str, home_id: int | None) -> ErasureSelection | None:
    found = await tables.fragments.find(await tables.fragments.find_of_users([user_id]))
    begun = () if home_id is None else await find_begun(tables, tables.of(home_id), user_id)
    in_part = {item.row.fragment.fragment_id for item in begun}
    rows = [
        row for row in found if row.fragment.user_id == user_id and row.fragment.fragment_id not in in_part
    ]
    if not rows and not begun:
        return None
    chosen = sorted([*rows, *(item.row for item in begun)], key=_age)
    heads = tuple(dict.fromkeys(row.own_id for row in chosen))
    owned = await _selection(tables, rows, heads)
    return ErasureSelection(
        tuple(chosen), owned.entries.union(*(item.entries for item in begun)), heads, tuple(begun)
    )


async def _select_words(tables: Tables, user_id: str) -> ErasureSelection | None:
    found = await find_words(tables, user_id)
    if not found.entries:
        return None
    heads = tuple(row.fragment.fragment_id for row in found.fragments)
    return ErasureSelection(found.fragments, found.entries, heads, left_to=user_id)


async def _select_viewed(
    tables: Tables, view: StoredView, profile_id: UUID, *, as_person: bool
) -> ErasureSelection | None:
    found = await tables.view_profiles.find_of_fragment(view, profile_id)
    if found is None:
        return None
    absorbed = () if found.unified is None else tuple(part.head for part in found.unified.absorbed)
    if profile_id in absorbed and not as_person:
        return await _selection(tables, await tables.fragments.find([profile_id]), (profile_id,))
    head = found.head.fragment.fragment_id
    return await _selection(tables, await tables.fragments.find_members(view, head), (head, *absorbed))


async def _select_believed(tables: Tables, profile_id: UUID, *, as_person: bool) -> ErasureSelection | None:
    profiles = await tables.profiles.find_unified(profile_id)
    profile = next((item for item in profiles if item.profile_id == profile_id), None)
    if profile is None:
        return None
    fragments = tables.fragments
    if profile.is_absorbed and not as_person:
        own = await fragments.find([profile_id])
        rows = own or await fragments.find(await fragments.find_believed([profile_id]))
        return await _selection(tables, rows, (profile_id,))
    ids = tuple(item.profile_id for item in profiles)
    rows = await fragments.find(await fragments.find_of_log(ids))
    entries = await tables.log.find_keys_of_profiles(ids)
    return ErasureSelection(tuple(sorted(rows, key=_age)), frozenset(entries), ids)


async def _selection(
    tables: Tables, rows: Iterable[FragmentRow], profile_ids: tuple[UUID, ...]
) -> ErasureSelection:
    chosen = tuple(sorted(rows, key=_age))
    entries = await tables.fragments.find_entries(row.fragment.fragment_id for row in chosen)
    return ErasureSelection(chosen, frozenset(entries), profile_ids)


def _age(row: FragmentRow) -> tuple[int, UUID]:
    return row.fragment.began_at, row.fragment.fragment_id
