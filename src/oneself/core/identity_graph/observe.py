"""Fold observations into the identity graph: who speaks, about whom, with which evidence.

    observation ─▶ word ─▶ its fragment ─▶ claims, values, owner

Invariants: pure but for the graph that it is given. What an observation says does not depend on other
fragments than its own.

Source: docs/concepts/trust.md, "Evidence" and "Fragments".
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, USER_ID, Dropped, Identifier
from oneself.core.identity.identifier_source import identifiers_in_patch
from oneself.core.identity.normalise import display_value
from oneself.core.identity_graph import fold
from oneself.core.identity_graph.choices import add_choices
from oneself.core.identity_graph.claims import hold_former
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.owners import Bringer, assign_owners, detach, respelled
from oneself.core.identity_graph.placing import begin_in_unknown_browser, fragment_for
from oneself.core.identity_graph.repetition import repeated
from oneself.core.identity_graph.rules import GraphRules, graph_rules
from oneself.core.identity_graph.stored_values import hold_values
from oneself.core.identity_graph.word import Speaker, Word
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.resolution.evidence import Evidence, admit
from oneself.core.resolution.kinds import KindPolicy, policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.repetition import browser_that_repeats
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.explicit_changes import explicit_changes, explicit_claims, fitting_changes
from oneself.core.values.record import Change, Path, Record, ValueChanges, leaves, read

#: Claim → the value, whether it is verified, and the identifiers that it is.
_Reported = Mapping[Path, tuple[str | None, bool, tuple[Identifier, ...]]]
_UNCHANGED = ValueChanges()


class Observed(msgspec.Struct, frozen=True):
    """An observation that was accepted, as the graph takes it."""

    observation: Observation
    evidence: Evidence
    #: Its place in the log.
    seq: int
    config: Config
    rules: GraphRules
    #: What a reindex job addresses: the fragments of the profile whose stored values it reads.
    reindexed: Collection[UUID] = ()
    #: Whether an erasure removed something from it.
    is_redacted: bool = False

    @property
    def at(self) -> int:
        """When it happened, in µs since 1970."""
        return self.observation.effective_at(self.seq)

    @property
    def active_at(self) -> int | None:
        """When it made the person active, in µs since 1970; None: it did not."""
        is_activity = self.observation.is_interactive and policy_of(self.observation).makes_active
        return self.at if is_activity else None


def observe(graph: IdentityGraph, observed: Observed) -> UUID | None:
    """Fold an observation; returns the fragment that it belongs to.

    None: nothing is known of what it names, or an erasure left no names.
    """
    if observed.is_redacted and not (observed.evidence.identifiers or observed.observation.namespaces):
        return None
    policy = policy_of(observed.observation)
    device = device_that_only_acts(observed.observation, observed.evidence)
    if device is not None and (active := _fragment_that_only_acts(graph, device, observed)) is not None:
        return active
    device = browser_that_repeats(observed.observation, observed.evidence)
    if device is not None and (again := fragment_that_repeats(graph, device, observed)) is not None:
        graph.put(again)
        return again.fragment_id
    known = len(graph.fragments)
    effect = policy.graph_effect
    if effect in _ABOUT_USERS and observed.evidence.user_id is None:
        effect = "word"
    fragment = _EFFECTS[effect](graph, observed)
    provable = _provable(graph, observed, effect, fragment, has_begun=len(graph.fragments) > known)
    if provable:
        assign_owners(graph, provable, observed.rules.owners, observed.seq)
    return None if fragment is None else fragment.fragment_id


def device_that_only_acts(observation: Observation, evidence: Evidence) -> Identifier | None:
    """The browser of an event that names and writes nothing; None: it says more."""
    policy, devices = policy_of(observation), evidence.devices
    if policy.values_policy != "event" or policy.graph_effect != "word" or len(devices) != 1:
        return None
    if evidence.persons or observation.values or observation.choices:
        return None
    if observation.fresh_tracker or observation.profile_id:
        return None
    device = devices[0]
    return None if observation.new_tracker and device.namespace != TRACKER else device


def _fragment_that_only_acts(graph: IdentityGraph, device: Identifier, observed: Observed) -> UUID | None:
    """The one present fragment of a browser, or the first; None: where its words belong is not that simple.

    This is a short cut for most events; `_say` comes to the same.
    """
    acting = graph.acting.get(device)
    if acting is not None:
        return acting.fragment_id
    browser = graph.browsers.get(device)
    if browser is None and device.namespace == ANONYMOUS_ID:
        new_id = observed.observation.new_profile_id
        return begin_in_unknown_browser(graph, device, new_id, observed.seq)
    if browser is None or len(browser.present) != 1 or browser.current != browser.present[0]:
        return None
    fragment = graph.fragments.get(browser.present[0])
    return None if fragment is None or fragment.origin == "user" else fragment.fragment_id


def fragment_that_repeats(graph: IdentityGraph, device: Identifier, observed: Observed) -> Fragment | None:
    """The fragment after an event that repeats what its browser said; None: more is to be decided.

    `device`: from `browser_that_repeats`. The graph stays as it is. This is a short cut for most events that
    name people; `_say` comes to the same.
    """
    observation, evidence, config = observed.observation, observed.evidence, observed.config
    return repeated(graph, device, observation, evidence, config, observed.rules.fold, observed.seq)


def _provable(
    graph: IdentityGraph, observed: Observed, effect: str, fragment: Fragment | None, *, has_begun: bool
) -> list[Fragment]:
    """The fragments of what servers began that users may own from now on."""
    is_marked = bool(observed.rules.owners.proving)
    if effect in _ABOUT_USERS:
        return graph.waiting
    if is_marked and (effect == "reindex" if fragment is None else fragment.origin == "user"):
        return graph.waiting
    is_new = fragment is not None and has_begun and bool(fragment.began_with)
    return [graph.fragments[fragment.fragment_id]] if fragment is not None and is_new else []


def made_devices(observation: Observation) -> Iterator[Identifier]:
    """The trackers and anonymous ids that an observation may speak for beside those that it names."""
    if observation.new_tracker is not None:
        yield Identifier(TRACKER, observation.new_tracker)
    if observation.new_anonymous_id is not None:
        yield Identifier(ANONYMOUS_ID, observation.new_anonymous_id)
    if observation.token is not None:
        yield Identifier(ANONYMOUS_ID, observation.token.primary_id)


def persons_of(evidence: Evidence) -> tuple[Identifier, ...]:
    """The person identifiers that an observation names, without the user."""
    return tuple(identifier for identifier in evidence.persons if identifier.namespace != USER_ID)


def claim_identifiers(
    observation: Observation, config: Config
) -> Iterator[tuple[Path, Any, tuple[Identifier, ...]]]:
    """The provider claims that an observation reports, with the identifiers that each of them is."""
    if policy_of(observation).values_policy == "identity_provider":
        for change in explicit_claims(config.schema, observation.values):
            if change.path[0] == IDENTITY_ATTRIBUTES and change.value is not None:
                yield change.path, change.value, identifiers_at(change.path, change.value, config)


def reported_claims(observed: Observed, known: Record) -> _Reported:
    """The provider claims in a report. `known`: what the provider reported before."""
    observation = observed.observation
    verified = {(IDENTITY_ATTRIBUTES, *name.split(".")) for name in observation.verified}
    verified |= {(IDENTITY_ATTRIBUTES, name) for name in observation.verified}
    changes = explicit_claims(observed.config.schema, observation.values)
    reported = {change.path: change.value for change in changes if change.path[0] == IDENTITY_ATTRIBUTES}
    for path in verified - reported.keys():
        if (value := read(known.values, path)) is not None:
            reported[path] = value
    return {
        path: (
            None if value is None else str(value),
            path in verified,
            identifiers_at(path, value, observed.config),
        )
        for path, value in sorted(reported.items())
    }


def _say(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    observation, evidence = observed.observation, observed.evidence
    word = _word(graph, observed)
    if observation.creates:
        return fold.say_create(graph, word, observed.rules.fold)
    if evidence.user_id is not None:
        word = msgspec.structs.replace(word, user_id=evidence.user_id)
        linked = fold.sign_in(graph, word, "report", observed.rules.fold)
        return graph.fragments[linked.fragment_id]
    fragment = fold.say(graph, word, observed.rules.fold)
    if fragment is not None and (observation.choices or observation.consents is not None):
        fragment = _with_choices(graph, graph.fragments[fragment.fragment_id], observed)
    return fragment


def _choose(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    fragment = fragment_for(graph, _word(graph, observed))
    return None if fragment is None else _with_choices(graph, fragment, observed)


def _with_choices(graph: IdentityGraph, fragment: Fragment, observed: Observed) -> Fragment:
    choices = add_choices(
        fragment.choices, observed.observation.consents, observed.observation.choices, observed.seq
    )
    return graph.put(msgspec.structs.replace(fragment, choices=choices, seq=observed.seq))


def _sign_in(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    return _take_sign_in(graph, observed, "user")


def _report(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    return _take_sign_in(graph, observed, "report")


def _take_sign_in(graph: IdentityGraph, observed: Observed, bringer: Bringer) -> Fragment | None:
    word = _provider_word(observed)
    if bringer == "report" and not observed.rules.fold.reports_join:
        word = msgspec.structs.replace(word, profile_id=None)
    own = fold.sign_in(graph, word, bringer, observed.rules.fold)
    reported = reported_claims(observed, own.record)
    return fold.report_claims(graph, word, reported, observed.rules.fold) if reported else own


def _report_claims(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    word = _provider_word(observed)
    own = fold.say_as_user(graph, word, observed.rules.fold)
    return fold.report_claims(graph, word, reported_claims(observed, own.record), observed.rules.fold)


def _sign_out(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    word = _provider_word(observed)
    assert word.user_id is not None
    current = None if word.tracker is None else graph.browser(word.tracker).current
    fold.sign_out(graph, word, observed.rules.fold)
    if observed.rules.fold.detaches_on_sign_out:
        _detach_anonymous_ids(graph, observed)
    return graph.own_fragment(word.user_id) if current is None else graph.fragments[current]


def _detach_anonymous_ids(graph: IdentityGraph, observed: Observed) -> None:
    """Let the anonymous ids begin anew that came with the tracker which ends."""
    for device in observed.evidence.devices:
        if device.namespace == ANONYMOUS_ID and device in graph.browsers:
            detach(graph, device)


def _end_tracker(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    word = _word(graph, observed)
    current = None if word.tracker is None else graph.browser(word.tracker).current
    fold.end_tracker(graph, word)
    _detach_anonymous_ids(graph, observed)
    return None if current is None else graph.fragments[current]


def _reindex(graph: IdentityGraph, observed: Observed) -> Fragment | None:
    """A rule or binding reads values that were stored before: their fragments claim them as of then.

    Values that were replaced are words of their fragment, which it returns if it did not claim them yet.
    """
    observation, persons, seq = observed.observation, observed.evidence.persons, observed.seq
    fragments = [graph.fragments[item] for item in sorted(observed.reindexed)]
    if observation.former is not None:
        for known in fragments:
            if (fragment := hold_former(graph, known, persons, observation.former, seq)) is not known:
                return fragment
        return None
    names = {identifier.namespace for identifier in persons}.union(observation.namespaces)
    for match in observed.config.identifier_sources:
        if match.name in names:
            for fragment in fragments:
                hold_values(graph, fragment.fragment_id, match, observed.config, seq)
    return None


#: Without a user, these are words about a browser.
_ABOUT_USERS = frozenset({"sign_in", "report", "sign_out", "claims"})
_EFFECTS: dict[str, Callable[[IdentityGraph, Observed], Fragment | None]] = {
    "word": _say,
    "consent": _choose,
    "sign_in": _sign_in,
    "report": _report,
    "claims": _report_claims,
    "sign_out": _sign_out,
    "tracker_end": _end_tracker,
    "reindex": _reindex,
}


def _word(graph: IdentityGraph, observed: Observed) -> Word:
    """The word of a page, a server, or a person about themselves."""
    observation, evidence, config = observed.observation, observed.evidence, observed.config
    policy, values = policy_of(observation), observation.values
    fresh = _fresh_tracker(observed)
    tracker, anonymous_id = _browser(graph, observed, policy, fresh)
    return Word(
        speaker=speaker_of(observation, policy),
        seq=observed.seq,
        at=observed.at,
        new_fragment_id=observation.new_profile_id,
        tracker=tracker,
        fresh_tracker=None if fresh == tracker else fresh,
        anonymous_id=anonymous_id,
        user_id=evidence.user_id if observation.creates else None,
        profile_id=observation.profile_id,
        identifiers=persons_of(evidence) if evidence.persons else (),
        changes=changes_by(observed, policy) if values or config.bindings else _UNCHANGED,
        source=observation.source(observed.seq) if values or config.bindings else None,
        rewritten=_rewritten(values, config) if values else frozenset(),
    )


def speaker_of(observation: Observation, policy: KindPolicy) -> Speaker:
    """Who speaks in an observation."""
    if policy.values_policy == "identity_provider":
        return "provider"
    if observation.trust == "server":
        return "server"
    return "browser" if observation.profile_id is None else "person"


def _browser(
    graph: IdentityGraph, observed: Observed, policy: KindPolicy, fresh: Identifier | None
) -> tuple[Identifier | None, Identifier | None]:
    """The tracker and the anonymous id of the browser that speaks.

    A tracker that leads nowhere gives way to the one that was made for the browser. A browser that sends
    nothing but its token is recognised by the id in it, and one that sends nothing at all by its new id.
    `fresh`: a tracker that may take the place of the one that was sent.
    """
    observation, evidence = observed.observation, observed.evidence
    tracker = anonymous_id = None
    for device in evidence.devices:
        if device.namespace == ANONYMOUS_ID:
            anonymous_id = device
        elif tracker is None and device != fresh:
            tracker = device
    if policy.replaces_ended_tracker and (tracker is None or not graph.browser(tracker).present):
        made = observation.new_tracker
        tracker = None if made is None else Identifier(TRACKER, made)
    if tracker is None and anonymous_id is None and not evidence.persons:
        token = observation.token
        value = observation.new_anonymous_id if token is None else token.primary_id
        anonymous_id = None if value is None else Identifier(ANONYMOUS_ID, value)
    return tracker, anonymous_id


def _sent_tracker(observed: Observed) -> Identifier | None:
    """The tracker of the browser, without a fresh one that may take its place."""
    fresh = _fresh_tracker(observed)
    trackers = (item for item in observed.evidence.devices if item.namespace == TRACKER)
    return next((item for item in trackers if item != fresh), None)


def _fresh_tracker(observed: Observed) -> Identifier | None:
    value = observed.observation.fresh_tracker
    if value is None:
        return None
    found = Identifier(TRACKER, value)
    return found if found in observed.evidence.devices else None


def _provider_word(observed: Observed) -> Word:
    """The word of an identity provider about its user."""
    observation, evidence = observed.observation, observed.evidence
    return Word(
        speaker="provider",
        seq=observed.seq,
        at=observed.at,
        new_fragment_id=observation.new_profile_id,
        tracker=_sent_tracker(observed),
        fresh_tracker=_fresh_tracker(observed),
        user_id=evidence.user_id,
        profile_id=observation.profile_id,
        changes=explicit_claims(observed.config.schema, observation.values),
        source=observation.source(observed.seq),
    )


def _rewritten(values: dict[str, Any], config: Config) -> frozenset[str]:
    """The names of the attributes that a patch sets or unsets, and of the identity types bound to them."""
    names = frozenset(name for scope, section in values.items() for name in leaves(section, scope))
    bound = (match.name for match in config.bindings.values() if ".".join(match.path) in names)
    return names.union(bound)


def changes_by(observed: Observed, policy: KindPolicy) -> ValueChanges | Callable[[Record], ValueChanges]:
    """The changes that an observation makes, or what makes them of what its fragment holds already."""
    if policy.values_policy != "event":
        return explicit_changes(observed.config.schema, observed.observation.values)
    return lambda record: _event_changes(observed, record)


def _event_changes(observed: Observed, record: Record) -> ValueChanges:
    """The changes that an event makes to the values of its fragment; what does not fit is left out."""
    observation, config = observed.observation, observed.config
    changes: list[Change] = []
    for raw in observation.identifiers:
        match = config.bindings.get(raw.namespace)
        if match is not None and not isinstance(admit(raw, observation.trust, config), Dropped):
            changes.append(Change(match.path, display_value(raw.value)))
    for scope, section in sorted(observation.values.items()):
        for key, value in sorted(section.items()):
            found = fitting_changes(config.schema, record, (scope, key), value, creating=not record.values)
            changes.extend(found)
    return ValueChanges(tuple(changes))


def identifiers_at(path: Path, value: Any, config: Config) -> tuple[Identifier, ...]:
    """The identifiers that a provider claim is, in every namespace that reads its attribute."""
    patch = {path[0]: {".".join(path[1:]): value}}
    found = (
        admit(item, "server", config)
        for match in config.identifier_sources
        if match.path == path
        for item in identifiers_in_patch(patch, match)
    )
    return tuple(dict.fromkeys(item for item in found if isinstance(item, Identifier)))


def verified_identifiers(verification: ClaimVerification, config: Config) -> tuple[Identifier, ...]:
    """What a claim that a user verified in another dataset identifies them by in this one."""
    path = respelled(verification.path, graph_rules(config).owners.claim_paths.values())
    return identifiers_at(path, verification.value, config)
