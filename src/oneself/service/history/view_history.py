"""The history of a person in the views `own` and `proven`, from the identity graph.

Invariants: it reads what the fragments of the view record. What was only asserted is not in it, nor are
refusals: they say what the business did not believe.

Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.joins import user_in, user_since
from oneself.core.identity_graph.names import proven_claims
from oneself.service.history.entries import ClaimRecord, HistoryMerge
from oneself.service.profiles.ids import AliasedProfile
from oneself.service.profiles.profiles import ProfileView
from oneself.store.tables.fragment import StoredView
from oneself.store.tables.log import ClaimReport
from oneself.store.transaction import Tables


async def find_fragments(tables: Tables, view: ProfileView) -> list[Fragment]:
    """The fragments of a profile in its view, by id."""
    members = await tables.fragments.find_members(_stored(view), view.survivor.profile_id)
    return [row.fragment for row in members]


async def find_fragment_ids(tables: Tables, view: ProfileView) -> set[UUID]:
    """The ids of the fragments of a profile in its view."""
    return await tables.fragments.find_member_ids(_stored(view), view.survivor.profile_id)


async def find_identifiers(tables: Tables, view: ProfileView) -> list[ClaimRecord]:
    """Every identifier that a profile of the view holds or held, the oldest first."""
    fragments = await find_fragments(tables, view)
    devices = {item.browser for item in fragments if item.browser is not None}
    speaking = {one for browser in (await tables.browsers.find(devices)).values() for one in browser.present}
    listed = listed_ids((item.fragment_id for item in fragments), view)
    found = (
        record
        for item in fragments
        for record in _identifiers(item, view, listed[item.fragment_id], item.fragment_id in speaking)
    )
    return sorted(dict.fromkeys(found), key=lambda record: record.age)


async def find_claim_reports(tables: Tables, view: ProfileView) -> list[ClaimReport]:
    """What the identity provider reported about the claims of the profile's user, in order."""
    own = [item.fragment_id for item in await find_fragments(tables, view) if item.own_user is not None]
    return await tables.log.find_claim_reports_of_fragments(own, view.survivor.profile_id)


def merges(view: ProfileView, person: AliasedProfile) -> Iterator[HistoryMerge]:
    """The merges that the profile consists of."""
    aliases = {alias.profile_id: alias.id for alias in person.former_ids if alias.by == "merge"}
    for part in view.absorbed:
        yield HistoryMerge(
            part.seq,
            view.survivor.profile_id,
            part.profile_id,
            part.reason,
            None,
            aliases.get(part.profile_id),
        )


def _identifiers(
    fragment: Fragment, view: ProfileView, profile_id: UUID, is_present: bool
) -> Iterator[ClaimRecord]:
    """The identifiers of a fragment: its user, what servers said, and its browser while it is present."""
    user, since = user_in(fragment, _stored(view)), user_since(fragment, _stored(view))
    if user is not None and since is not None:
        yield ClaimRecord(Identifier(USER_ID, user), profile_id, since, None, "server")
    for claim in proven_claims(fragment):
        yield ClaimRecord(claim.tenure.identifier, profile_id, claim.since, claim.until, "server")
    if fragment.browser is not None and is_present:
        yield ClaimRecord(fragment.browser, profile_id, fragment.began_at, None, "browser")


def listed_ids(ids: Iterable[UUID], view: ProfileView) -> dict[UUID, UUID]:
    """Fragment → the profile id under which a view answers for it."""
    known, survivor_id = frozenset(view.profile_ids), view.survivor.profile_id
    return {item: item if item in known else survivor_id for item in ids}


def _stored(view: ProfileView) -> StoredView:
    assert view.view != "all"
    return view.view
