"""Give up the account of one of two users, so that their profiles can be merged.

    trackers begin anew ─▶ verified claims end ─▶ the account is deleted ─▶ the merge: its parts are nobody's

What the user said stays where it is. Whoever signs in with the account of an identity provider afterwards
begins anew, also in the browsers of before.

Invariants: all of it is done in the transaction of the merge.

Source: docs/decisions/0050-giving-up-an-account.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, USER_ID, Identifier
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.resolution.observation import ClaimsReport, Observation, TrackerEnd
from oneself.core.values.record import put
from oneself.errors import Conflict, InvalidInput
from oneself.service.by_hand.asked import GivenUp
from oneself.service.by_hand.members import Members
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Accounts
from oneself.service.ingest.recording import record
from oneself.service.ingest.trackers import find_anonymous_ids
from oneself.store.loaded_graph import users_of
from oneself.store.transaction import Transaction

#: An account with more browsers is not given up.
BROWSERS_MAX = 1000


def check_users(one: Members, other: Members, gives_up: str | None) -> None:
    """Raises Conflict if each profile has a user, and InvalidInput if another account would be given up."""
    mine, theirs = (
        {user for item in members.fragments for user in users_of(item)} for members in (one, other)
    )
    users = mine | theirs
    if gives_up is None:
        if len(users) > 1:
            raise Conflict(
                "Both profiles have a user; two users never share a profile. An administrator can give up "
                "the account of one.",
                code="different_user",
            )
    elif gives_up not in users:
        raise InvalidInput("give_up_account", f"{gives_up[:100]!r} is the user of neither profile.")
    elif len(users) == 1:
        raise InvalidInput(
            "give_up_account", "Only one of the two has a user: merge them, and no account is given up."
        )
    elif len(users) > 2:
        raise Conflict("There are more than two users.", code="different_user")


class EndedTies(msgspec.Struct, frozen=True):
    """What led to a user and does so no longer."""

    given_up: GivenUp
    #: The fragments that are still theirs.
    fragment_ids: tuple[UUID, ...]
    #: Of the last observation that ended something; 0: nothing had to end.
    seq: int


async def end_ties(
    transaction: Transaction, dataset_ref: DatasetRef, actor: Actor, members: Iterable[Members], user_id: str
) -> EndedTies:
    """End the trackers and verified claims that lead to a user. `members`: the profiles with their fragments.

    Raises Conflict, Contended.
    """
    fragments = [item for side in members for item in side.fragments if user_id in users_of(item)]
    ended = await _find_browsers(transaction, fragments)
    verified = await transaction.verified_claims.find([user_id], ())
    claims = {path: item.value for (user, path), item in verified.items() if user == user_id}
    observations: list[Observation] = [
        _observe(TrackerEnd, actor, identifiers=(browser, *also)) for browser, also in ended.items()
    ]
    if claims:
        values: dict[str, Any] = {}
        for path, value in claims.items():
            values = put(values, path, value)
        user = Identifier(USER_ID, user_id)
        observations.append(_observe(ClaimsReport, actor, identifiers=(user,), values=values))
    seq = await record(transaction, observations) if observations else 0
    names = tuple(sorted(".".join(path[1:]) for path in claims))
    given_up = GivenUp(user_id, len(ended), names, await _has_account(transaction, dataset_ref, user_id))
    return EndedTies(given_up, tuple(sorted(item.fragment_id for item in fragments)), seq)


async def end_account(
    transaction: Transaction, accounts: Accounts, dataset_ref: DatasetRef, user_id: str
) -> None:
    """Delete the account of a user with its sessions and tokens, if the embedded directory has it."""
    if (account_id := _account_id(user_id)) is not None:
        await accounts.delete_in(transaction.directory, dataset_ref, account_id)


async def _has_account(transaction: Transaction, dataset_ref: DatasetRef, user_id: str) -> bool:
    account_id = _account_id(user_id)
    accounts = transaction.directory.of(dataset_ref.org_id).accounts
    return account_id is not None and await accounts.find(account_id) is not None


def _account_id(user_id: str) -> UUID | None:
    try:
        found = UUID(user_id)
    except ValueError:
        return None
    return found if str(found) == user_id else None


async def _find_browsers(
    transaction: Transaction, fragments: Iterable[Fragment]
) -> dict[Identifier, list[Identifier]]:
    """The trackers and anonymous ids that lead to fragments, each with the anonymous ids that came with it.

    Raises Conflict.
    """
    owned = {item.fragment_id for item in fragments}
    devices = {item.browser for item in fragments if item.browser is not None}
    devices |= await transaction.browsers.find_replacing(devices)
    found = await transaction.browsers.find(devices)
    leading = [item for item in sorted(found) if not owned.isdisjoint(found[item].present)]
    if len(leading) > BROWSERS_MAX:
        raise Conflict(f"The account has more than {BROWSERS_MAX} browsers.", code="too_large")
    ended: dict[Identifier, list[Identifier]] = {}
    for item in leading:
        if item.namespace == TRACKER:
            ended[item] = await find_anonymous_ids(transaction, item)
        else:
            assert item.namespace == ANONYMOUS_ID
            ended[item] = []
    return ended


def _observe(kind: type[Any], actor: Actor, **fields: Any) -> Any:
    return kind(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface=actor.interface,
        application=actor.application,
        **fields,
    )
