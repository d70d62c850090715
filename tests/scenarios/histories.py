"""Random histories for Hypothesis, with few devices, values and users, so that profiles often share them.

A history is a set-up and a list of steps. It shrinks to fewer steps with fewer fields. Profiles are addressed
by the number of their creation; the number may belong to no profile. With `rules=True`, steps also change,
activate, deactivate and delete rules, and index existing profiles.
"""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from scenarios.words import (
    MINUTE_US,
    SECOND_US,
    START_US,
    AttributeLine,
    IdentityType,
    RuleLine,
    Setup,
    Step,
)

DEVICES = ("x", "y", "z")
USERS = ("u-1", "u-2")
VALUES = ("v1", "v2", "v3")
ATTRIBUTES = (
    AttributeLine("identity_attributes.name", "string", "overwrite"),
    AttributeLine("traits.plan", "string", "overwrite"),
    AttributeLine("traits.tags", "string", "combine", multi_valued=True),
    AttributeLine("traits.last", "string", "latest"),
    AttributeLine("traits.first", "string", "earliest"),
    AttributeLine("traits.source", "string", "keep"),
    AttributeLine("traits.visits", "integer", "sum"),
    AttributeLine("traits.top", "integer", "max"),
    AttributeLine("traits.low", "integer", "min"),
    AttributeLine("traits.address", "complex", "overwrite"),
    AttributeLine("traits.address.city", "string", "overwrite"),
    AttributeLine("traits.address.lines", "string", "combine", multi_valued=True),
    AttributeLine("application_data.score", "integer", "overwrite", application="shop"),
)


#: Rule → attribute. The last attribute is invalid for a rule.
RULES = {
    "plans": "traits.plan",
    "tags": "traits.tags",
    "tops": "traits.top",
    "cities": "traits.address.city",
    "names": "identity_attributes.name",
    "scores": "application_data.score",
}


class History(msgspec.Struct, frozen=True):
    setup: Setup
    steps: tuple[Step, ...]


#: Acts without a time of occurrence: they never arrive late.
UNTIMED = ("rule", "index")

_words = st.sampled_from(("red", "blue", ""))
_numbers = st.integers(0, 3)
_lists = st.lists(st.sampled_from(("p", "q", "r")), unique=True, max_size=3)
_address = st.fixed_dictionaries({}, optional={"city": st.none() | _words, "lines": _lists})
_traits = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.none() | _words,
        "tags": st.none() | _lists,
        "last": _words,
        "first": _words,
        "source": _words,
        "visits": _numbers,
        "top": _numbers,
        "low": _numbers,
        "address": _address.filter(bool),
    },
)
_values = st.fixed_dictionaries(
    {},
    optional={
        "traits": _traits.filter(bool),
        "identity_attributes": st.fixed_dictionaries({"name": _words}),
        "application_data": st.fixed_dictionaries({"shop": st.fixed_dictionaries({"score": _numbers})}),
    },
)
_device = st.sampled_from(DEVICES)
_one_device = st.builds(lambda device: (device,), _device)
_some_devices = st.lists(_device, unique=True, max_size=2).map(tuple)
_user = st.sampled_from(USERS)
_profile = st.sampled_from((1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6)).map(lambda number: f"P{number}")
_identity = st.sampled_from((*VALUES, *VALUES, "V1", " v2 ", "null"))
_identities = st.fixed_dictionaries({}, optional={"a": _identity, "b": _identity, "c": _identity}).map(
    lambda chosen: tuple(chosen.items())
)
_all_identities = st.tuples(*(st.tuples(st.just(name), _identity) for name in ("a", "b", "c")))
_trust = st.sampled_from(("browser", "server"))

_priority = st.sampled_from((1, 2, 3, 2000))
_new_rule = st.builds(
    lambda name, priority, active: RuleLine(name, RULES[name], priority, active),
    st.sampled_from(tuple(RULES)),
    _priority,
    st.booleans(),
)
_rule_change = st.builds(
    RuleLine,
    st.sampled_from(tuple(RULES)[:4]),
    priority=st.none() | _priority,
    is_active=st.none() | st.booleans(),
) | st.builds(RuleLine, st.sampled_from(tuple(RULES)), gone=st.just(True))
_rule_steps = st.builds(Step, st.just("rule"), rule=_new_rule | _rule_change)
_toggle = st.sampled_from(("plans", "tags")).map(lambda name: Step("rule", rule=RuleLine(name)))
_index = st.just(Step("index"))

_steps = st.one_of(
    st.builds(Step, st.just("event"), devices=_some_devices, identities=_all_identities, trust=_trust),
    st.builds(Step, st.just("event"), devices=_one_device, identities=_identities, trust=_trust),
    st.builds(
        Step,
        st.just("event"),
        devices=_some_devices,
        identities=_identities,
        user=st.none() | _user,
        trust=_trust,
        values=_values,
    ),
    st.builds(Step, st.just("sign-in"), devices=_one_device, user=_user, identities=_identities),
    st.builds(Step, st.just("sign-out"), devices=_one_device, user=_user),
    st.builds(
        Step,
        st.just("create"),
        devices=st.just(()) | _one_device,
        identities=_identities,
        user=st.none() | _user,
        values=_values,
    ),
    st.builds(Step, st.just("write"), devices=_one_device, values=_values),
    st.builds(Step, st.just("write"), profile=_profile, values=_values, identities=_identities),
    st.builds(Step, st.just("write"), profile=_profile, user=st.none() | _user, values=_values),
)


# Steps with values that rules read: few values, on profiles that a step creates or addresses.
_shared = st.sampled_from(("red", "blue", "green", " RED ", "null", None))
_shared_list = st.lists(st.sampled_from(("p", "q", "r")), unique=True, min_size=1, max_size=2)
_shared_traits = st.one_of(
    st.fixed_dictionaries({"plan": _shared}),
    st.fixed_dictionaries({"tags": _shared_list}),
    st.fixed_dictionaries({"plan": _shared, "tags": st.none() | _shared_list}),
    st.fixed_dictionaries(
        {"address": st.fixed_dictionaries({"city": _shared})}, optional={"top": _numbers, "plan": _shared}
    ),
)
_shared_values = st.fixed_dictionaries({"traits": _shared_traits})
_early_profile = st.sampled_from(("P1", "P1", "P2", "P2", "P3"))
_few_users = st.sampled_from((None, None, None, *USERS))
_with_values = st.one_of(
    st.builds(Step, st.just("event"), devices=_some_devices, trust=_trust, values=_shared_values),
    st.builds(Step, st.just("create"), user=_few_users, values=_shared_values),
    st.builds(Step, st.just("create"), user=_few_users, values=_shared_values),
    st.builds(Step, st.just("write"), profile=_early_profile, values=_shared_values),
    st.builds(Step, st.just("write"), profile=_early_profile, values=_shared_values),
    st.builds(Step, st.just("write"), profile=_early_profile, user=_user, values=_shared_values),
)
_rule_acts = st.one_of(_toggle, _toggle, _toggle, _toggle, _rule_steps, _index)
# Half of the steps write values that rules read, a third change rules or index, the rest are others.
_steps_with_rules = st.integers(0, 5).flatmap(
    lambda number: _with_values if number < 3 else _rule_acts if number < 5 else _steps
)


@st.composite
def setups(draw: st.DrawFn, rules: bool = False) -> Setup:
    """A set-up with three identity types, optional guards and limits, and two rules if `rules` is true."""
    limit = st.none() | st.just(2)
    return Setup(
        identity_types=(
            IdentityType("a", bound=draw(st.booleans())),
            IdentityType(
                "b",
                bound=draw(st.booleans()),
                case_sensitive=draw(st.booleans()),
                conflict_blocks_merge=draw(st.booleans()),
            ),
            IdentityType("c", trusted_only=draw(st.booleans()), blocked_values=("v3",)),
        ),
        attributes=ATTRIBUTES,
        rules=tuple(
            RuleLine(name, RULES[name], number, draw(st.booleans()))
            for number, name in enumerate(("plans", "tags") if rules else (), start=1)
        ),
        detach_on_sign_out=draw(st.booleans()),
        profiles_per_merge_max=draw(limit),
        values_per_namespace_max=draw(limit),
    )


@st.composite
def histories(draw: st.DrawFn, steps_max: int = 12, erasures: bool = False, rules: bool = False) -> History:
    """A set-up and up to `steps_max` steps; most are in chronological order."""
    erase = st.builds(Step, st.just("erase"), profile=_profile)
    # The length is drawn first, because lists of free length are mostly too short for profiles to merge.
    length = draw(st.integers(steps_max // 2 if rules else 1, steps_max))
    step = _steps_with_rules if rules else _steps
    drawn = draw(st.lists(step | erase if erasures else step, min_size=length, max_size=length))
    late = draw(st.dictionaries(st.integers(0, steps_max - 1), st.sampled_from((120, 150)), max_size=2))
    setup = draw(setups(rules=rules))
    return History(
        setup, tuple(_with_times(_resolve_toggles(setup, _without_bound_identities(setup, drawn)), late))
    )


def _without_bound_identities(setup: Setup, steps: list[Step]) -> list[Step]:
    """The steps, with bound identities only in events without values; other steps cannot send them."""
    bound = {kind.name for kind in setup.identity_types if kind.bound}
    return [
        step
        if step.act == "event" and not step.values
        else msgspec.structs.replace(step, identities=_except(step.identities, bound))
        for step in steps
    ]


def _except(identities: tuple[tuple[str, str], ...], names: set[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in identities if name not in names)


def _resolve_toggles(setup: Setup, steps: list[Step]) -> list[Step]:
    """The steps, where a rule line with only a name becomes one that toggles the rule."""
    active = {rule.name: bool(rule.is_active) for rule in setup.rules}
    resolved: list[Step] = []
    for step in steps:
        rule = step.rule
        if rule is not None and rule == RuleLine(rule.name):
            rule = RuleLine(rule.name, is_active=not active.get(rule.name, False))
        if rule is not None and rule.is_active is not None:
            active[rule.name] = rule.is_active
        resolved.append(msgspec.structs.replace(step, rule=rule))
    return resolved


def _with_times(steps: list[Step], late: dict[int, int]) -> list[Step]:
    """The steps, one per minute; `late` maps the number of a step to the seconds that it arrives late."""
    times = [
        START_US + max(0, number * MINUTE_US - late.get(number, 0) * SECOND_US * (step.act not in UNTIMED))
        for number, step in enumerate(steps)
    ]
    return [msgspec.structs.replace(step, at=time) for step, time in zip(steps, times, strict=True)]
