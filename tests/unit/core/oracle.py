"""The oracle: a second, simple implementation of resolution and merging (docs/concepts/resolution.md).

It keeps every observation, every claim and every move of a device in lists and searches all of them each
time, without an index, a plan or an import from `oneself`. It is slow, and short enough to be reviewed.

Decisions where docs/concepts leaves a question open:
* an address decides before any identifier: a write by id never lands on another user's profile;
* a device that points at a known person decides nothing once anything else does;
* absorbed profiles are merged in from the lowest ranked to the highest, so that among several absorbed
  values the one of the most recently active profile stands;
* values are written to the profile that is addressed (else to the survivor) and then joined with the others'
  by their strategies; what `overwrite` replaced is written once more, because it is newer than the join;
* the value already stored is no change, and keeps the time it was first told (docs/wire/cds.md §8);
* whether a profile is identified (identity attributes then only fill gaps) is judged before the
  observation, a created one as what it is created as;
* a rule reads the attributes of a write and nothing else; what was there before it was switched on, values
  and claims alike, identifies nobody until it is indexed;
* an identity that is bound to an attribute is the value of that attribute, and held only as long as it is;
  the value that was said later stands, whoever is asked, except that no browser changes what the service
  knows of an identified person. What a refusal left with somebody else is not written either;
* a write lets go of what the person's values hold no more, wherever it touches a rule's first-level key;
  indexing lets go of all such claims of the profile that it looks at. A merge lets go of nothing.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from scenarios.engine import Outcome, ProfileFacts, World
from scenarios.words import AttributeLine, IdentityType, Kind, RuleLine, Setup, Step

USER = "user_id"
USER_TYPE = IdentityType(USER, case_sensitive=True, trusted_only=True)
# Written where a value is missing; these identify nobody, whatever the namespace.
NOBODY = {"null", "(null)", "undefined", "nan", "none", "n/a", "anonymous", "[object object]", "-1", "0"}
#: Of every pattern of placeholders what the scenarios say.
NOBODY |= {"{{customer.id}}", "{{user.id}}", "%%customer%%", "c-${id}", "{customer_id}"}
NOBODY |= {"guest", "true", "123456", "999999"}
VALUES_MAX = 100
PROFILES_PER_MERGE_MAX = 100
NEVER = -(10**18)
# Rules say on their own where they stand between the user id and the devices.
USER_PRIORITY, IDENTITY_PRIORITY, DEVICE_PRIORITY = -(10**9), 1000, 10**9

Path = tuple[str, ...]
Pair = tuple[str, str]
Instant = tuple[int, int]  # when it happened, then when it was told


@dataclass(eq=False)
class Person:
    """A profile. Once it is absorbed, only `into` and `reason` are valid."""

    id: UUID
    born: int
    active: int
    user: str | None = None
    values: dict[Path, Any] = field(default_factory=dict)
    written_at: dict[Path, Instant] = field(default_factory=dict)
    trusted: set[Path] = field(default_factory=set)
    brought: dict[Path, int] = field(default_factory=dict)
    into: Person | None = None
    reason: str | None = None
    absorbed: int = 0
    erased: bool = False

    def root(self) -> Person:
        return self if self.into is None else self.into.root()


@dataclass(eq=False)
class Claim:
    """`since`: when the value was first reported for a profile of this person; the age of the claim."""

    person: Person
    pair: Pair
    made: int
    since: int


@dataclass
class Rule:
    """`since`: when the rule was last activated."""

    name: str
    attribute: str
    priority: int
    active: bool = False
    since: int = 0

    @property
    def path(self) -> Path:
        return tuple(self.attribute.split("."))


@dataclass(frozen=True)
class Pointer:
    """An observation of this person was made on the device, or released it. `since`: when the device moved to
    this person."""

    device: str
    told_by: Person
    since: int = 0
    lets_go: bool = False


@dataclass
class Evidence:
    """The valid identifiers of a step, and the dropped ones."""

    user: str | None
    pairs: list[Pair]
    drops: set[Pair]


class Oracle:
    """An engine of the scenarios."""

    def __init__(self) -> None:
        self.setup = Setup()
        self.people: list[Person] = []
        self.claims: list[Claim] = []
        self.pointers: list[Pointer] = []
        self.observed: list[tuple[Step, Person]] = []
        self.rules: dict[str, Rule] = {}
        self.waiting: list[str] = []
        self.happened: int | None = None

    async def begin(self, setup: Setup) -> None:
        self.start(setup)

    async def act(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        return self.observe(step, addressed, new_id)

    async def world(self) -> World:
        return self.see()

    def start(self, setup: Setup) -> None:
        """Remove all state and apply the set-up."""
        self.__init__()  # type: ignore[misc]
        self.setup = setup
        for line in setup.rules:
            self._change_rule(line)

    def observe(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        """Apply one observation; ids as for `Engine.act`."""
        if step.rule is not None:
            return self._change_rule(step.rule)
        if step.act == "index":
            return self._index()
        target = self._addressed(addressed)
        if addressed is not None and target is None:
            return Outcome(rejected="profile_not_found")
        if step.act == "erase":
            return self._erase(target)
        if step.act == "sign-out":
            return self._sign_out(step)
        evidence = self._evidence(step)
        if target and target.user and evidence.user and target.user != evidence.user:
            return Outcome(rejected="user_id_write_once")
        if not self._fits(step, target):
            return Outcome(rejected="invalid_value")
        return self._take_in(step, target, evidence, new_id)

    def see(self) -> World:
        """The current world."""
        people = [person for person in self.people if not person.erased]
        devices = {pointer.device for pointer in self.pointers}
        found = {device: self._device(device) for device in devices}
        return World(
            {person.id: self._facts(person) for person in people},
            {device: person.id for device, person in found.items() if person is not None},
        )

    # what is known

    def _addressed(self, profile_id: UUID | None) -> Person | None:
        found = [person for person in self.people if person.id == profile_id and not person.erased]
        return found[0].root() if found else None

    def _device(self, device: str) -> Person | None:
        """The unified profile the device points at: the last pointer of anybody who is not erased counts."""
        last = self._last_pointer(device)
        return None if last is None or last.lets_go else last.told_by.root()

    def _last_pointer(self, device: str) -> Pointer | None:
        known = (p for p in reversed(self.pointers) if p.device == device)
        return next((pointer for pointer in known if not pointer.told_by.root().erased), None)

    def _holder(self, pair: Pair) -> Person | None:
        """The unified profile with the oldest live claim."""
        return next((claim.person.root() for claim in self._live_claims(pair)), None)

    def _point(self, device: str, person: Person, step: Step) -> None:
        """A late event moves a device that moved after it occurred only to an anonymous profile."""
        last = self._last_pointer(device)
        if last is None or last.lets_go:
            self.pointers.append(Pointer(device, person, step.at))
        elif last.told_by.root() is person:
            self.pointers.append(Pointer(device, person, last.since))
        elif not self._is_late(device, step) or self._kind(person) == "anonymous":
            self.pointers.append(Pointer(device, person, step.at))

    def _is_late(self, device: str, step: Step) -> bool:
        """Whether the device moved to its current profile after the event occurred."""
        last = self._last_pointer(device)
        return last is not None and _is_page_event(step) and last.since > step.at

    def _live_claims(self, pair: Pair) -> list[Claim]:
        """The claims that count, the oldest first."""
        since = next((rule.since for rule in self._active() if rule.attribute == pair[0]), 0)
        counting = [
            claim
            for claim in self.claims
            if claim.pair == pair and claim.made >= since and not claim.person.root().erased
        ]
        return sorted(counting, key=lambda claim: (claim.since, claim.person.id))

    def _held(self, person: Person) -> set[Pair]:
        return {claim.pair for claim in self.claims if claim.person.root() is person}

    def _values_held(self, people: list[Person], namespace: str) -> set[str]:
        return {value for person in people for name, value in self._held(person) if name == namespace}

    def _kind(self, person: Person) -> Kind:
        if person.user is not None:
            return "identified"
        return "named" if self._held(person) else "anonymous"

    def _facts(self, person: Person) -> ProfileFacts:
        if person.into is not None:
            return ProfileFacts(survivor=person.root().id, reason=person.reason)
        identities = frozenset(pair for pair in self._held(person) if pair[0] != USER)
        return ProfileFacts(self._kind(person), person.user, nest(person.values), identities)

    # evidence

    def _evidence(self, step: Step) -> Evidence:
        pairs: list[Pair] = []
        drops: set[Pair] = set()
        raw = list(step.identities) + ([(USER, step.user)] if step.user is not None else [])
        said = dict(flatten(step.values, self._names()))
        raw += [(rule.attribute, text) for rule in self._active() for text in texts(said.get(rule.path))]
        for namespace, text in raw:
            code, value = self._read(namespace, text, step.trust)
            if code:
                drops.add((namespace, code))
            elif (namespace, value) not in pairs:
                pairs.append((namespace, value))
        users = [value for namespace, value in pairs if namespace == USER]
        return Evidence(users[0] if users else None, pairs, drops)

    def _read(self, namespace: str, text: str, trust: str) -> tuple[str | None, str]:
        """The reason why it identifies nobody, or None and the normalised value."""
        kinds = (USER_TYPE, *self.setup.identity_types)
        kind = next((kind for kind in kinds if kind.name == namespace), IdentityType(namespace))
        value = unicodedata.normalize("NFC", text.strip())
        value = value if kind.case_sensitive else unicodedata.normalize("NFC", value.casefold())
        if kind.trusted_only and trust == "browser":
            return "untrusted_evidence", value
        if not value:
            return "empty", value
        blocked = NOBODY | {item.casefold() for item in kind.blocked_values}
        if value.casefold() in blocked or not value.strip("0-"):
            return "blocked_value", value
        return None, value

    # decision

    def _take_in(self, step: Step, target: Person | None, evidence: Evidence, new_id: UUID) -> Outcome:
        now = len(self.observed)
        self.happened = step.at if _is_page_event(step) else None
        created = Person(new_id, now, NEVER) if step.act == "create" else None
        candidates = self._candidates(step, target, evidence, created)
        ages = self._ages(candidates, evidence.pairs)
        refused: list[tuple[str, Person]] = []
        user = evidence.user or self._kept_user(candidates, target, evidence)
        strangers = [person for person in candidates if person.user not in (None, user)]
        refused += [("different_user", person) for person in strangers]
        if evidence.user is not None:
            refused += [("different_user", person) for person in self._other_users(step, user, strangers)]
        ordered = self._ordered(candidates, strangers, target or created, evidence.user, created, evidence)
        group, over = self._within_limits(ordered, self._said(evidence))
        refused += over
        if not group:
            created = Person(new_id, now, NEVER)
            group = [created]
        survivor, *absorbed = sorted(group, key=lambda person: self._rank(person, created, evidence))
        identified = {
            person.id: person.user is not None or (person is created and evidence.user is not None)
            for person in group
        }
        if created is not None:
            self.people.append(created)
            self._write(created, step, now)
        writer = target if target is not None and target in group else survivor
        outlived: list[Claim] = []
        if created is None:
            self._write(writer, step, now)
            touched = {path[:2] for path, _ in flatten(step.values, self._names())}
            outlived = self._outlived(writer, touched)
        hits = {pair: holder for pair in evidence.pairs if (holder := self._holder(pair)) in group}
        withheld = {
            pair
            for pair in evidence.pairs
            if pair[0] in self._bound() and self._holder(pair) not in (None, *group)
        }
        evidence.pairs = [pair for pair in evidence.pairs if pair not in withheld]
        self._claim(created or survivor, group, evidence, ages)
        for person in reversed(absorbed):
            found = (survivor, person) if person is target else (person, survivor)
            person.reason = self._reason(found, hits)
            self._absorb(survivor, person, fill_only=identified[survivor.id] and not identified[person.id])
        if created is None and absorbed:
            self._write(survivor, step, now, only="overwrite")
        self._write_bound(survivor, step, now, withheld)
        self._let_go(outlived)
        if evidence.user is not None:
            survivor.user = evidence.user
        survivor.active = max(survivor.active, step.at)
        for device in step.devices:
            self._point(device, survivor, step)
        self.observed.append((step, created or survivor))
        return Outcome(
            attached=survivor.id,
            created=created.id if created else None,
            merges=frozenset((person.id, person.reason or "") for person in absorbed),
            refusals=frozenset((code, person.id) for code, person in refused),
            drops=frozenset(evidence.drops),
        )

    def _candidates(
        self, step: Step, target: Person | None, evidence: Evidence, created: Person | None
    ) -> list[Person]:
        found = [target, created] + [self._holder(pair) for pair in evidence.pairs]
        current = [person for device in step.devices if (person := self._device(device))]
        found += [person for person in current if self._kind(person) == "anonymous"]
        if evidence.user is not None:
            found += [person for person in current if person.user is None]
        if not evidence.pairs and target is None and created is None:
            known = [person for person in current if self._kind(person) != "anonymous"]
            found += sorted(known, key=lambda person: self._rank(person, None, evidence))[:1]
        return list(dict.fromkeys(person for person in found if person is not None))

    def _kept_user(self, candidates: list[Person], target: Person | None, evidence: Evidence) -> str | None:
        """The user of the addressed profile; else of the first by rule priority and claim age; else of the
        first by rank."""
        if target is not None and target.user is not None:
            return target.user
        users = [person for person in candidates if person.user is not None]
        best = sorted(
            users, key=lambda person: (*self._led_by(person, evidence), *self._rank(person, None, None))
        )
        return best[0].user if best else None

    def _led_by(self, person: Person, evidence: Evidence) -> tuple[int, int]:
        """The priority of the first match of a person and, for a rule, the age of the claim."""
        led = []
        for pair in evidence.pairs:
            if self._holder(pair) is person:
                by_rule = any(rule.attribute == pair[0] for rule in self._active())
                led.append((self._priority(pair), self._live_claims(pair)[0].since if by_rule else 0))
        return min(led, default=(DEVICE_PRIORITY, 0))

    def _priority(self, pair: Pair) -> int:
        rules = {rule.attribute: rule.priority for rule in self._active()}
        return USER_PRIORITY if pair[0] == USER else rules.get(pair[0], IDENTITY_PRIORITY)

    def _other_users(self, step: Step, user: str | None, strangers: list[Person]) -> list[Person]:
        """The other users whose devices the event moves. A late event moves no device that moved since."""
        moving = [device for device in step.devices if not self._is_late(device, step)]
        current = [person for device in moving if (person := self._device(device))]
        others = [person for person in current if person.user not in (None, user)]
        return [person for person in others if person not in strangers]

    def _rank(self, person: Person, created: Person | None, evidence: Evidence | None) -> tuple[Any, ...]:
        """Smaller ranks first: more identified, more recently active, older, smaller id."""
        kind = self._kind(person)
        if person is created and evidence is not None:
            kind = "identified" if evidence.user else "named" if evidence.pairs else "anonymous"
        grade = ("identified", "named", "anonymous").index(kind)
        return (grade, -self._active_by(person), person.born, person.id)

    def _active_by(self, person: Person) -> int:
        """When the person was last active; for an event, activity after the event does not count."""
        if self.happened is None or person.active <= self.happened:
            return person.active
        times = [step.at for step, told_by in self.observed if told_by.root() is person]
        return max((at for at in times if at <= self.happened), default=0)

    def _ordered(
        self,
        candidates: list[Person],
        strangers: list[Person],
        anchor: Person | None,
        user: str | None,
        created: Person | None,
        evidence: Evidence,
    ) -> list[tuple[Person, bool]]:
        """The candidates by rank; first those that no guard or limit can exclude: the addressed profile and
        the user that the observation names."""
        allowed = [person for person in candidates if person not in strangers]
        allowed.sort(key=lambda person: self._rank(person, created, evidence))
        certain = [person is anchor or (user is not None and person.user == user) for person in allowed]
        return sorted(zip(allowed, certain, strict=True), key=lambda pair: not pair[1])

    def _said(self, evidence: Evidence) -> dict[str, set[str]]:
        said: dict[str, set[str]] = {}
        for namespace, value in evidence.pairs:
            said.setdefault(namespace, set()).add(value)
        return said

    def _within_limits(
        self, people: list[tuple[Person, bool]], said: dict[str, set[str]]
    ) -> tuple[list[Person], list[tuple[str, Person]]]:
        """The profiles that may merge, and the refused ones. `said`: the values that the observation adds."""
        most = self.setup.profiles_per_merge_max or PROFILES_PER_MERGE_MAX
        group: list[Person] = []
        refused: list[tuple[str, Person]] = []
        for person, certain in people:
            if not certain and self._conflicts(group, person, said):
                refused.append(("conflicting_identity", person))
            elif not certain and group and (len(group) > most or self._too_many(group, person, said)):
                refused.append(("limit_exceeded", person))
            else:
                group.append(person)
        return group, refused

    def _conflicts(self, group: list[Person], person: Person, said: dict[str, set[str]]) -> bool:
        guarded = [kind.name for kind in self.setup.identity_types if kind.conflict_blocks_merge]
        sides = [
            (self._values_held(group, name) | said.get(name, set()), self._values_held([person], name))
            for name in guarded
        ]
        return any(ours and theirs and not ours & theirs for ours, theirs in sides)

    def _too_many(self, group: list[Person], person: Person, said: dict[str, set[str]]) -> bool:
        """A limit applies only if both sides have values: it stops growth and does not separate profiles."""
        types = [kind.name for kind in self.setup.identity_types]
        for name in (*types, *(rule.attribute for rule in self._active())):
            ours = self._values_held(group, name) | said.get(name, set())
            theirs = self._values_held([person], name)
            if ours and theirs and len(ours | theirs) > self._values_max():
                return True
        return False

    # consequences

    def _claim(
        self,
        person: Person,
        group: list[Person],
        evidence: Evidence,
        ages: list[tuple[Person, Pair, int]],
    ) -> None:
        """Claim the values that no profile of the group holds; replace claims that do not count."""
        for pair in evidence.pairs:
            if any(claim.person.root() in group for claim in self._live_claims(pair)):
                continue
            if self._has_room([*group, person], pair):
                self._let_go([claim for claim in self._claims_of(group) if claim.pair == pair])
                now = len(self.observed)
                since = min((age for one, held, age in ages if one in group and held == pair), default=now)
                self.claims.append(Claim(person, pair, now, since))
            else:
                evidence.drops.add((pair[0], "limit_exceeded"))

    def _ages(self, people: list[Person], pairs: list[Pair]) -> list[tuple[Person, Pair, int]]:
        """For each value that a rule or binding reads: the person that has it, and since when."""
        paths = {rule.attribute: rule.path for rule in self._active()}
        paths |= {name: ("identity_attributes", name) for name in self._bound()}
        return [
            (person, pair, person.brought[path])
            for person in people
            for pair in pairs
            if (path := paths.get(pair[0])) is not None
            for text in texts(person.values.get(path))
            if self._read(pair[0], text, "server") == (None, pair[1])
        ]

    def _claims_of(self, group: list[Person]) -> list[Claim]:
        return [claim for claim in self.claims if claim.person.root() in group]

    def _has_room(self, people: list[Person], pair: Pair) -> bool:
        limit = 1 if pair[0] == USER else self._values_max()
        return len(self._values_held(people, pair[0]) | {pair[1]}) <= limit

    def _values_max(self) -> int:
        return self.setup.values_per_namespace_max or VALUES_MAX

    def _let_go(self, claims: list[Claim]) -> None:
        self.claims = [claim for claim in self.claims if claim not in claims]

    def _outlived(self, person: Person, touched: set[Path]) -> list[Claim]:
        """The person's claims by rules on these first-level keys that its values do not hold."""
        names = {rule.attribute: rule for rule in self._active() if rule.path[:2] in touched}
        return [
            claim
            for claim in self._claims_of([person])
            if claim.pair[0] in names and claim.pair not in self._values_by(person, names[claim.pair[0]])
        ]

    # rules

    def _active(self) -> list[Rule]:
        """The active rules by priority."""
        return sorted((rule for rule in self.rules.values() if rule.active), key=lambda rule: rule.priority)

    def _change_rule(self, line: RuleLine) -> Outcome:
        if line.gone:
            self.rules.pop(line.name, None)
            return Outcome()
        known = None if line.attribute else self.rules.get(line.name)
        rule = known or (Rule(line.name, line.attribute, line.priority or 0) if line.attribute else None)
        if rule is None:
            return Outcome(rejected="unknown")
        priority = rule.priority if line.priority is None else line.priority
        problem = self._problem(rule, priority)
        if problem is not None:
            return Outcome(rejected=problem)
        active = rule.active if line.is_active is None else line.is_active
        if active and not rule.active:
            rule.since = len(self.observed)
            self.waiting = [*(name for name in self.waiting if name != rule.name), rule.name]
        rule.priority, rule.active = priority, active
        self.rules[rule.name] = rule
        return Outcome()

    def _problem(self, rule: Rule, priority: int) -> str | None:
        """Why there must not be such a rule (docs/wire/cds.md §9)."""
        if rule.path[0] == "application_data":
            return "application_data"
        types = {line.name: line.value_type for line in self.setup.attributes}
        if types.get(rule.attribute, "complex") == "complex":
            return "complex_attribute" if rule.attribute in types else "unknown_attribute"
        others = [other for other in self.rules.values() if other is not rule]
        if any(other.attribute == rule.attribute for other in others):
            return "duplicate_attribute"
        return "duplicate_priority" if any(other.priority == priority for other in others) else None

    def _index(self) -> Outcome:
        """Index all profiles by every waiting rule; all are read before the first is indexed."""
        waiting = [self.rules[name] for name in self.waiting if name in self.rules]
        self.waiting = []
        indexed: list[Outcome] = []
        for rule in (rule for rule in waiting if rule.active):
            found = [(person, self._values_by(person, rule)) for person in self._asked_for(rule)]
            found = [each for each in found if self._is_news(*each, rule)]
            indexed += [self._index_one(person.root(), pairs) for person, pairs in found]
        return Outcome(indexed=tuple(indexed))

    def _asked_for(self, rule: Rule) -> list[Person]:
        """The survivors of all profiles, in the order in which their values were first reported. Profiles
        that were absorbed before the rule was activated do not count."""
        known = sorted(
            (person for person in self.people if not person.erased),
            key=lambda person: (person.brought.get(rule.path, person.born), person.id),
        )
        asked = [person for person in known if person.into is None or person.absorbed >= rule.since]
        return list(dict.fromkeys(person.root() for person in asked))

    def _values_by(self, person: Person, rule: Rule) -> list[Pair]:
        """The identifiers that a rule reads from the values of a person."""
        read = [self._read(rule.attribute, text, "server") for text in texts(person.values.get(rule.path))]
        return list(dict.fromkeys((rule.attribute, value) for code, value in read if code is None))

    def _is_news(self, person: Person, pairs: list[Pair], rule: Rule) -> bool:
        held = {pair for pair in self._held(person) if pair[0] == rule.attribute}
        return set(pairs) != held or (bool(pairs) and person.born < rule.since)

    def _index_one(self, person: Person, pairs: list[Pair]) -> Outcome:
        """Apply an observation of these values, without those that the person no longer has."""
        rules = self._active()
        still = [pair for pair in pairs if any(pair in self._values_by(person, rule) for rule in rules)]
        outlived = self._outlived(person, {rule.path[:2] for rule in rules})
        outcome = self._take_in(Step("index", at=NEVER), person, Evidence(None, still, set()), person.id)
        self._let_go(outlived)
        return outcome

    def _sign_out(self, step: Step) -> Outcome:
        person = self._device(step.devices[0])
        if person is None or (step.user is not None and person.user != step.user):
            return Outcome(rejected="not_signed_in")
        if self.setup.detach_on_sign_out:
            self.pointers += [Pointer(device, person, lets_go=True) for device in step.devices]
        person.active = max(person.active, step.at)
        self.observed.append((step, person))
        return Outcome(attached=person.id)

    def _erase(self, target: Person | None) -> Outcome:
        assert target is not None
        for person in self.people:
            if person.root() is target:
                person.erased = True
        return Outcome()

    def _absorb(self, survivor: Person, absorbed: Person, *, fill_only: bool) -> None:
        for path, value in absorbed.values.items():
            self._merge_value(survivor, absorbed, path, value, fill_only=fill_only)
        survivor.active = max(survivor.active, absorbed.active)
        survivor.born = min(survivor.born, absorbed.born)
        survivor.user = survivor.user or absorbed.user
        absorbed.into, absorbed.absorbed = survivor, len(self.observed)

    def _reason(self, found: tuple[Person, Person], hits: dict[Pair, Person]) -> str:
        """What matched the first profile, else the second; the user id first, then by priority."""
        pairs = [pair for pair in hits if hits[pair] in found]
        pairs.sort(key=lambda pair: (hits[pair] is not found[0], self._priority(pair)))
        if not pairs:
            return "anonymous"
        name = pairs[0][0]
        names = {rule.attribute: rule.name for rule in self._active()}
        return "system:user_id_match" if name == USER else names.get(name, f"identity:{name}")

    # values

    def _merge_value(
        self, survivor: Person, absorbed: Person, path: Path, value: Any, *, fill_only: bool
    ) -> None:
        strategy = self._attribute(path).merge_strategy
        if fill_only and path[0] == "identity_attributes":
            strategy = "keep"
        ours, ours_at = survivor.values.get(path), survivor.written_at.get(path, (NEVER, 0))
        theirs_at = absorbed.written_at[path]
        mine, theirs = survivor.brought.get(path, absorbed.brought[path]), absorbed.brought[path]
        if ours is None or ours in ("", []):
            survivor.values[path], survivor.written_at[path] = value, theirs_at
            survivor.brought[path] = mine if value in ("", []) else theirs
            survivor.trusted = (survivor.trusted - {path}) | ({path} & absorbed.trusted)
        elif value not in ("", []):
            if strategy == "latest" and path in survivor.trusted ^ absorbed.trusted:
                strategy = "overwrite" if path in absorbed.trusted else "keep"
            if strategy == "overwrite" or (strategy in ("by_time", "latest") and theirs_at > ours_at):
                survivor.trusted = (survivor.trusted - {path}) | ({path} & absorbed.trusted)
            survivor.values[path] = _STRATEGIES[strategy]((ours, ours_at), (value, theirs_at))
            survivor.written_at[path] = _stamp(strategy, ours_at, theirs_at)
            if ours == value or strategy in ("combine", "sum"):
                survivor.brought[path] = min(mine, theirs)
            elif survivor.values[path] == value:
                survivor.brought[path] = theirs

    def _write(self, person: Person, step: Step, now: int, only: str | None = None) -> None:
        for path, value in flatten(step.values, self._names()):
            if only is not None and self._attribute(path).merge_strategy != only:
                continue
            if value is None:
                for known in [known for known in person.values if known[: len(path)] == path]:
                    del person.values[known], person.written_at[known], person.brought[known]
                    person.trusted.discard(known)
            elif person.values.get(path) != value:
                person.values[path], person.written_at[path] = value, (step.at, now)
                person.brought[path] = now
                (person.trusted.add if step.trust == "server" else person.trusted.discard)(path)

    def _write_bound(self, person: Person, step: Step, now: int, withheld: set[Pair]) -> None:
        """Write the identities of an event as values, and release claims on other values."""
        for name, text in step.identities:
            if name not in self._bound() or (name, self._read(name, text, step.trust)[1]) in withheld:
                continue
            path, said = ("identity_attributes", name), (step.at, now)
            is_owned = person.user is not None and path in person.trusted and step.trust == "browser"
            code, _ = self._read(name, text, step.trust)
            if code is None and not is_owned and step.at >= person.written_at.get(path, (NEVER, 0))[0]:
                if person.values.get(path) != text.strip():
                    person.brought[path] = now
                person.values[path], person.written_at[path] = text.strip(), said
                (person.trusted.add if step.trust == "server" else person.trusted.discard)(path)
        for name in self._bound():
            value = person.values.get(("identity_attributes", name))
            held = None if value is None else self._read(name, value, "server")[1]
            self._let_go([c for c in self._claims_of([person]) if c.pair[0] == name and c.pair[1] != held])

    def _bound(self) -> list[str]:
        return [kind.name for kind in self.setup.identity_types if kind.bound]

    def _names(self) -> dict[Path, AttributeLine]:
        named: dict[Path, AttributeLine] = {
            ("identity_attributes", name): AttributeLine(f"identity_attributes.{name}", "string", "by_time")
            for name in self._bound()
        }
        for line in self.setup.attributes:
            scope, *rest = line.name.split(".")
            named[(scope, line.application, *rest) if line.application else (scope, *rest)] = line
        return named

    def _attribute(self, path: Path) -> AttributeLine:
        return self._names()[path]

    def _fits(self, step: Step, target: Person | None) -> bool:
        names = self._names()
        leaves = flatten(step.values, names)
        return all(path in names and _is_of(value, names[path]) for path, value in leaves)


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "decimal": (int, float),
    "boolean": (bool,),
}

_STRATEGIES: dict[str, Any] = {
    "overwrite": lambda ours, theirs: theirs[0],
    "combine": lambda ours, theirs: ours[0] + [item for item in theirs[0] if item not in ours[0]],
    "latest": lambda ours, theirs: theirs[0] if theirs[1] > ours[1] else ours[0],
    "by_time": lambda ours, theirs: theirs[0] if theirs[1] > ours[1] else ours[0],
    "earliest": lambda ours, theirs: theirs[0] if theirs[1] < ours[1] else ours[0],
    "keep": lambda ours, theirs: ours[0],
    "sum": lambda ours, theirs: ours[0] + theirs[0],
    "max": lambda ours, theirs: max(ours[0], theirs[0]),
    "min": lambda ours, theirs: min(ours[0], theirs[0]),
}


def _stamp(strategy: str, ours_at: Instant, theirs_at: Instant) -> Instant:
    match strategy:
        case "overwrite":
            return theirs_at
        case "keep":
            return ours_at
        case "earliest":
            return min(ours_at, theirs_at)
    return max(ours_at, theirs_at)


def _is_page_event(step: Step) -> bool:
    """Whether the time of occurrence decides. Engines submit an event with values as a write."""
    return step.act == "event" and not step.values


def _is_of(value: Any, line: AttributeLine) -> bool:
    if value is None or line.value_type == "complex":
        return value is None
    items = value if line.multi_valued else [value]
    types = _TYPES[line.value_type]
    return isinstance(items, list) and all(
        isinstance(item, types) and (bool in types or not isinstance(item, bool)) for item in items
    )


def texts(value: Any) -> list[str]:
    """The scalars of a value, as text."""
    items = value if isinstance(value, list) else [value]
    return [str(item) for item in items if item is not None]


def flatten(
    values: dict[str, Any], names: dict[Path, AttributeLine], path: Path = ()
) -> list[tuple[Path, Any]]:
    """Every leaf of a patch with its path; only declared complex values have inner paths."""
    leaves: list[tuple[Path, Any]] = []
    for key, value in values.items():
        here = (*path, key)
        line = names.get(here)
        inner = line.value_type == "complex" if line else any(name[: len(here)] == here for name in names)
        if inner and isinstance(value, dict):
            leaves += flatten(value, names, here)
        else:
            leaves.append((here, value))
    return leaves


def nest(values: dict[Path, Any]) -> dict[str, Any]:
    """The values as a nested object."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        place = nested
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return nested
