"""Where a word belongs: exactly one fragment, for ever.

Invariants: what others say of an identifier does not affect where a browser's words go.

Source: docs/concepts/trust.md, "Fragments".
"""

from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.browser import BrowserFragments
from oneself.core.identity_graph.fragment import Fragment, Origin, Owner, Tenure
from oneself.core.identity_graph.graph import ExactKey, IdentityGraph
from oneself.core.identity_graph.word import Word

#: How many present fragments a browser has that nobody signed in on. What it says of further people goes to
#: the one in which it last spoke.
BROWSER_FRAGMENTS_MAX = 100
#: How many identifiers a fragment remembers that its browser named.
NAMED_MAX = 1000
#: Between the ids of fragments that one word begins: it changes the first 64 bits, the shorter primary id.
_NEXT_ID = 2**64


def fragment_for(graph: IdentityGraph, word: Word) -> Fragment | None:
    """The fragment that a word belongs to, begun if need be.

    None: it addresses a profile that does not exist.
    """
    if word.speaker == "browser":
        return _of_browser_word(graph, word)
    if word.user_id is not None:
        return own_fragment(graph, word.user_id, word)
    if word.profile_id is not None:
        return _addressed(graph, word.profile_id, word)
    if word.identifiers or word.device is None:
        return _exact(graph, word)
    return in_browser(graph, word.device, (), word)


def own_fragment(graph: IdentityGraph, user_id: str, word: Word) -> Fragment:
    """The user's own fragment."""
    fragment = graph.own_fragment(user_id)
    if fragment is None:
        fragment = _begin(graph, word, "user", owner=Owner(user_id, word.seq, "user"))
    return fragment


def in_browser(
    graph: IdentityGraph, device: Identifier, identifiers: tuple[Identifier, ...], word: Word
) -> Fragment:
    """The fragment of a browser that a word belongs to.

    `identifiers`: the person identifiers that the browser itself names.
    """
    browser = graph.browser(device)
    present = [graph.fragments[item] for item in browser.present]
    fragment = _divided(browser, present, identifiers)
    if fragment is None:
        return _begin_in_browser(graph, device, word)
    if browser.current != fragment.fragment_id:
        graph.browsers[device] = msgspec.structs.replace(browser, current=fragment.fragment_id)
    return fragment


def user_on(graph: IdentityGraph, device: Identifier) -> str | None:
    """The user whose words a browser speaks: who signed in on it last, else whom a report names."""
    acting = graph.acting.get(device)
    if acting is not None:
        known = graph.fragments.get(acting.fragment_id)
        return acting.user_id if known is None else known.user_id
    browser = graph.browser(device)
    fragment = _of_user(browser, [graph.fragments[item] for item in browser.present])
    return None if fragment is None else fragment.user_id


def begin_in_unknown_browser(graph: IdentityGraph, device: Identifier, fragment_id: UUID, seq: int) -> UUID:
    """The first fragment of a browser that has said nothing but that it is there."""
    fragment = graph.put(
        Fragment(
            fragment_id=_free_id(graph, fragment_id), origin="browser", began_at=seq, seq=seq, browser=device
        )
    )
    graph.browsers[device] = BrowserFragments().with_fragment(fragment.fragment_id)
    return fragment.fragment_id


def begin_in_browser_with_user(graph: IdentityGraph, device: Identifier, word: Word) -> Fragment:
    """A new fragment for a user who signs in where another user's fragments are present."""
    fragment = _begin(graph, word, "browser", browser=device)
    browser = graph.browser(device)
    graph.browsers[device] = msgspec.structs.replace(browser, every=(*browser.every, fragment.fragment_id))
    return fragment


def create(graph: IdentityGraph, word: Word) -> Fragment:
    """The fragment that an application's creation of a profile begins.

    With a tracker it is a browser's first fragment. A browser may bring that tracker, so that no proof of
    what it began with makes it a user's.
    """
    began_with: frozenset[Tenure] = frozenset()
    if word.tracker is None:
        began_with = graph.tenures_of(word.identifiers, word.at, word.level)
    owner = None
    if word.user_id is not None:
        owner = Owner(word.user_id, word.seq, "named")
    fragment = _begin(graph, word, "application", browser=word.tracker, began_with=began_with, owner=owner)
    if word.tracker is not None:
        graph.browsers[word.tracker] = BrowserFragments().with_fragment(fragment.fragment_id)
    return fragment


def _of_browser_word(graph: IdentityGraph, word: Word) -> Fragment:
    if word.device is None:
        return _exact(graph, word)
    fragment = in_browser(graph, word.device, word.identifiers, word)
    named = fragment.named.union(word.identifiers)
    if named == fragment.named or len(named) > NAMED_MAX:
        return fragment
    return graph.put(msgspec.structs.replace(fragment, named=named))


def _divided(
    browser: BrowserFragments, present: list[Fragment], identifiers: tuple[Identifier, ...]
) -> Fragment | None:
    """The present fragment for a word; None: a new one begins.

    Several people may share a browser that nobody signed in on: each set of identifiers that it names gets a
    fragment of its own. Once it has a user, it speaks for that user.
    """
    if not present:
        return None
    if len(present) == 1 and not identifiers:
        return present[0]
    of_user = _of_user(browser, present)
    if of_user is not None:
        return of_user
    current = next((item for item in present if item.fragment_id == browser.current), present[-1])
    if not identifiers:
        return current
    same = next((item for item in present if not item.named.isdisjoint(identifiers)), None)
    if same is not None:
        return same
    if not current.named:
        return current
    unnamed = next((item for item in present if not item.named), None)
    return current if unnamed is None and len(present) >= BROWSER_FRAGMENTS_MAX else unnamed


def _of_user(browser: BrowserFragments, present: list[Fragment]) -> Fragment | None:
    """The present fragment of the user who speaks in a browser; None: it has no user."""
    users = [item for item in present if item.owner] or [item for item in present if item.reported]
    return next((item for item in users if item.fragment_id == browser.current), users[-1] if users else None)


def _addressed(graph: IdentityGraph, profile_id: UUID, word: Word) -> Fragment | None:
    """The addressed fragment; once it has a user, that user's own fragment.

    A user who owns it by an identifier changes nothing: the proof may come before the word or after it.
    """
    fragment = graph.fragments.get(profile_id)
    if fragment is None:
        return None
    is_proved = fragment.owner is not None and fragment.owner.proof == "identifier"
    if fragment.user_id is None or is_proved:
        return fragment
    return own_fragment(graph, fragment.user_id, word)


def _exact(graph: IdentityGraph, word: Word) -> Fragment:
    """The fragment of exactly the identifiers that the word names; a new one if it names none."""
    is_server = word.speaker == "server"
    tenures = graph.tenures_of(word.identifiers, word.at, word.level)
    key: ExactKey = ("server" if is_server else "browser", tenures)
    found = graph.exact_fragment(key) if tenures else None
    if found is not None:
        return found
    began_with: frozenset[Tenure] = tenures if is_server else frozenset()
    fragment = _begin(graph, word, "server" if is_server else "browser", began_with=began_with)
    if tenures:
        graph.exact[key] = fragment.fragment_id
    return fragment


def _begin_in_browser(graph: IdentityGraph, device: Identifier, word: Word) -> Fragment:
    fragment = _begin(graph, word, "browser", browser=device)
    graph.browsers[device] = graph.browser(device).with_fragment(fragment.fragment_id)
    return fragment


def _begin(
    graph: IdentityGraph,
    word: Word,
    origin: Origin,
    *,
    browser: Identifier | None = None,
    began_with: frozenset[Tenure] = frozenset(),
    owner: Owner | None = None,
) -> Fragment:
    return graph.put(
        Fragment(
            fragment_id=_free_id(graph, word.new_fragment_id),
            origin=origin,
            began_at=word.seq,
            seq=word.seq,
            browser=browser,
            began_with=began_with,
            owner=owner,
        )
    )


def _free_id(graph: IdentityGraph, fragment_id: UUID) -> UUID:
    """The id of the fragment that a word begins; those after the first are derived from it.

    They come after it, and differ in their first digits, which are the primary ids of profiles.
    """
    while fragment_id in graph.fragments:
        fragment_id = UUID(int=(fragment_id.int + _NEXT_ID) % 2**128)
    return fragment_id
