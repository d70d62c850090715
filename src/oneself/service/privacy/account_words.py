"""What an account said of itself, which leaves when its address turns out to be somebody else's.

    sign-ins, sign-outs, what was written with its tokens     go
    the browsers that it brought, with what they said         go
    what servers and the provider said of the user            stays, and names the user from then on

Invariants: nothing that is left depends on what goes. A server may have addressed the user by the id of a
browser that goes, so what it said names the user instead.

Source: docs/concepts/trust.md, "Owner".
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from oneself.core.fold.log_entry import EntryKey, LogEntry, observation_of
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.resolution.kinds import policy_of
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables, Transaction

#: What an account says by being used. A report says of a browser that it was.
_BY_ACCOUNT = ("sign_in", "report", "sign_out")


class AccountWords(msgspec.Struct, frozen=True):
    """What an account said of itself."""

    #: The fragments that have it, the oldest first.
    fragments: tuple[FragmentRow, ...]
    entries: frozenset[EntryKey]


async def find_words(tables: Tables, user_id: str) -> AccountWords:
    """What the account of a user said of itself."""
    rows = await tables.fragments.find(await tables.fragments.find_of_users([user_id]))
    theirs = sorted((row for row in rows if row.fragment.user_id == user_id), key=_age)
    with_browser = {row.fragment.fragment_id for row in theirs if _comes_with_browser(row.fragment)}
    having = [row for row in theirs if row.fragment.own_user or row.fragment.fragment_id in with_browser]
    entries = await tables.fragments.find_entries(row.fragment.fragment_id for row in having)
    found = await tables.log.find_of_fragments(entries, ())
    words = {(entry.seq, entry.observation_id) for entry in found if _is_word(entry)}
    chosen = (key for key, fragment_id in entries.items() if fragment_id in with_browser or key in words)
    return AccountWords(tuple(having), frozenset(chosen))


async def name_user(
    transaction: Transaction, user_id: str, rows: Collection[FragmentRow], gone: Collection[EntryKey]
) -> None:
    """Let what is left of the user's own fragment name the user, whatever it addressed."""
    own = [row.fragment.fragment_id for row in rows if row.fragment.own_user == user_id]
    left = (await transaction.fragments.find_entries(own)).keys() - set(gone)
    entries = await transaction.log.find_of_fragments(left, ())
    await transaction.log.redact([_naming(entry, user_id) for entry in entries])


def _naming(entry: LogEntry, user_id: str) -> LogEntry:
    observation = observation_of(entry)
    user = Identifier(USER_ID, user_id)
    others = tuple(item for item in observation.identifiers if item != user)
    named = msgspec.structs.replace(
        observation, profile_id=None, believed_id=None, identifiers=(*others, user)
    )
    return msgspec.structs.replace(entry, content=msgspec.to_builtins(named, str_keys=True))


def _comes_with_browser(fragment: Fragment) -> bool:
    """Whether a fragment is the user's because a sign-in, link or report brought its browser."""
    if fragment.owner is not None:
        return fragment.owner.proof in ("sign_in", "confirmed")
    return fragment.reported is not None


def _is_word(entry: LogEntry) -> bool:
    """Whether an account said something itself: it signed in or out, or wrote with its own token."""
    observation = observation_of(entry)
    return policy_of(observation).graph_effect in _BY_ACCOUNT or observation.trust == "browser"


def _age(row: FragmentRow) -> tuple[int, object]:
    return row.fragment.began_at, row.fragment.fragment_id
