"""Fold words into the identity graph.

Invariants: pure but for the graph that it is given. Each word belongs to exactly one fragment; a device named
beside person identifiers by a server only ties them to its browser.

Source: docs/concepts/trust.md.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.choices import replacing
from oneself.core.identity_graph.claims import hold
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import ChoiceWrite, Fragment, ReportedUser, Write
from oneself.core.identity_graph.graph import DeviceTie, IdentityGraph
from oneself.core.identity_graph.owners import Bringer, add_fresh_tracker, detach, move_tracker
from oneself.core.identity_graph.placing import create, fragment_for, in_browser, own_fragment
from oneself.core.identity_graph.replay import ReplayRules, put
from oneself.core.identity_graph.verified import note_identifiers, settle
from oneself.core.identity_graph.word import Word
from oneself.core.identity_graph.writes import as_repeated, takes_effect_proven, with_write
from oneself.core.values.record import Path


class FoldRules(msgspec.Struct, frozen=True):
    """The part of the configuration that the fold of words depends on."""

    values: ReplayRules
    #: Whether an asserted identifier replaces a proven one if it is newer.
    newest_wins: bool = False
    #: Dotted paths of attributes that hold identities.
    identity_paths: frozenset[str] = frozenset()
    #: Whether a sign-out lets the browser begin anew.
    detaches_on_sign_out: bool = False
    #: Whether a report joins browser and user before the user confirms it.
    reports_join: bool = True


def say(graph: IdentityGraph, word: Word, rules: FoldRules) -> Fragment | None:
    """Take in a word of a page, a server or a person; returns the fragment that it belongs to."""
    fragment = fragment_for(graph, word)
    if fragment is None:
        return None
    fragment = _take(graph, fragment, word, rules)
    _add_fresh_tracker(graph, word)
    if word.speaker == "browser":
        _tie_anonymous_id(graph, fragment, word)
    elif word.speaker == "server" and word.profile_id is None and word.identifiers and word.device:
        _tie_identifiers(graph, word.device, word, rules)
    return fragment


def say_as_user(graph: IdentityGraph, word: Word, rules: FoldRules) -> Fragment:
    """Take in what is said of a user; it belongs to the user's own fragment."""
    assert word.user_id is not None
    return _take(graph, own_fragment(graph, word.user_id, word), word, rules)


def say_create(graph: IdentityGraph, word: Word, rules: FoldRules) -> Fragment:
    """Take in an application's creation of a profile; naming a user, it is theirs."""
    fragment = create(graph, word)
    if word.user_id is not None:
        own_fragment(graph, word.user_id, word)
    return _take(graph, fragment, word, rules)


def sign_in(graph: IdentityGraph, word: Word, bringer: Bringer, rules: FoldRules) -> Fragment:
    """Take in a sign-in, a link or a report, with the browser whose tracker it brings."""
    assert word.user_id is not None
    fragment = say_as_user(graph, word, rules)
    if word.tracker is not None:
        if bringer == "user" or rules.reports_join:
            move_tracker(graph, word.tracker, word.user_id, bringer, word)
        if bringer == "report":
            browser = graph.browser(word.tracker)
            graph.browsers[word.tracker] = msgspec.structs.replace(browser, reported_user=word.user_id)
    if word.fresh_tracker is not None and word.tracker is None:
        move_tracker(graph, word.fresh_tracker, word.user_id, bringer, word)
    _add_fresh_tracker(graph, word)
    if word.profile_id is not None:
        _report(graph, word.profile_id, word.user_id, word.seq)
    return fragment


def confirm(graph: IdentityGraph, word: Word) -> bool:
    """Take in a request with a tracker and the token of a user; False if no report named the user for it."""
    assert word.tracker is not None
    assert word.user_id is not None
    if graph.browser(word.tracker).reported_user != word.user_id:
        return False
    move_tracker(graph, word.tracker, word.user_id, "user", word)
    return True


def sign_out(graph: IdentityGraph, word: Word, rules: FoldRules) -> None:
    """Take in a sign-out. The browser still speaks for its user, unless it detaches."""
    if rules.detaches_on_sign_out:
        end_tracker(graph, word)


def end_tracker(graph: IdentityGraph, word: Word) -> None:
    """Let a tracker begin anew, and so the anonymous ids that belong to it."""
    ended = [tie for tie in graph.device_ties if tie.until is None and _is_of(graph, tie, word.tracker)]
    for device in {word.tracker, word.anonymous_id, *(tie.anonymous_id for tie in ended)}:
        if device is not None:
            detach(graph, device)
    graph.device_ties = [
        msgspec.structs.replace(tie, until=word.seq) if tie in ended else tie for tie in graph.device_ties
    ]


def report_claims(
    graph: IdentityGraph,
    word: Word,
    reported: Mapping[Path, tuple[str | None, bool, tuple[Identifier, ...]]],
    rules: FoldRules,
) -> Fragment:
    """Take in the provider's claims of a user.

    `reported`: path → the claim's value, whether it is verified, and the identifiers that it is.
    """
    assert word.user_id is not None
    user = word.user_id
    own_fragment(graph, user, word)
    for path, (value, is_verified, identifiers) in reported.items():
        if value is not None and not is_verified:
            note_identifiers(graph, path, value, identifiers)
        settle(graph, user, path, value if is_verified else None, identifiers, word.seq)
        level = EvidenceLevel.VERIFIED if is_verified else EvidenceLevel.ASSERTED
        fragment = own_fragment(graph, user, word)
        hold(graph, fragment, identifiers, level, word.seq, word.at, newest_wins=rules.newest_wins)
    return own_fragment(graph, user, word)


def consent(graph: IdentityGraph, word: Word, choices: Mapping[str, tuple[bool, int]]) -> Fragment | None:
    """Take in a person's choices, which replace all before them.

    `choices`: category → whether the person consented, and when, in µs since 1970.
    """
    fragment = fragment_for(graph, word)
    if fragment is None:
        return None
    chosen = [ChoiceWrite(category, *choice, word.seq) for category, choice in sorted(choices.items())]
    replaced = replacing(fragment.choices, chosen, word.seq)
    return graph.put(msgspec.structs.replace(fragment, choices=replaced, seq=word.seq))


def _take(graph: IdentityGraph, fragment: Fragment, word: Word, rules: FoldRules) -> Fragment:
    """The fragment with the identifiers and values of a word."""
    changes = word.changes_of(fragment.record)
    held = hold(
        graph,
        fragment,
        word.identifiers,
        word.level,
        word.seq,
        word.at,
        newest_wins=rules.newest_wins,
        rewritten=word.rewritten,
    )
    writes, record = held.writes, held.record
    for change in changes:
        assert word.source is not None
        is_identity = ".".join(change.path) in rules.identity_paths
        is_asserted = is_identity and word.speaker == "browser"
        item = as_repeated(writes, Write(change.path, change.value, word.source, is_asserted, word.level))
        after = put(record, item, rules.values)
        if after is not record or takes_effect_proven(writes, item):
            writes, record = with_write(writes, item), after
    is_unchanged = held is fragment and writes is fragment.writes
    if is_unchanged and not fragment.began_with:
        return fragment
    return graph.put(msgspec.structs.replace(held, writes=writes, record=record, seq=word.seq))


def _tie_anonymous_id(graph: IdentityGraph, fragment: Fragment, word: Word) -> None:
    """An anonymous id belongs to the first tracker that came with it."""
    if word.tracker is None or word.anonymous_id is None:
        return
    if not any(tie.anonymous_id == word.anonymous_id and tie.until is None for tie in graph.device_ties):
        graph.device_ties.append(DeviceTie(word.anonymous_id, fragment.fragment_id, word.seq))


def _add_fresh_tracker(graph: IdentityGraph, word: Word) -> None:
    if word.fresh_tracker is not None and word.tracker is not None:
        add_fresh_tracker(graph, word.fresh_tracker, word.tracker)


def _is_of(graph: IdentityGraph, tie: DeviceTie, tracker: Identifier | None) -> bool:
    return tracker is not None and tie.fragment_id in graph.browser(tracker).every


def _tie_identifiers(graph: IdentityGraph, device: Identifier, word: Word, rules: FoldRules) -> None:
    """The server has said these identifiers of that browser; no value is written."""
    fragment = in_browser(graph, device, (), word)
    held = hold(
        graph, fragment, word.identifiers, word.level, word.seq, word.at, newest_wins=rules.newest_wins
    )
    if held is not fragment:
        graph.put(msgspec.structs.replace(held, seq=word.seq))


def _report(graph: IdentityGraph, profile_id: UUID, user_id: str, seq: int) -> None:
    fragment = graph.fragments.get(profile_id)
    if fragment is not None and fragment.user_id is None:
        graph.put(msgspec.structs.replace(fragment, reported=ReportedUser(user_id, seq)))
