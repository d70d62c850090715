"""Random histories for Hypothesis: few devices, values and users, so that everything meets everything.

A history is a set-up and a list of steps. It shrinks to fewer steps with fewer fields; profiles are
addressed by the number of their creation, which may be nobody's.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from scenarios.words import MINUTE_US, SECOND_US, START_US, AttributeLine, IdentityType, Setup, Step

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


class History(msgspec.Struct, frozen=True):
    setup: Setup
    steps: tuple[Step, ...]


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
    lambda made: tuple(made.items())
)
_all_identities = st.tuples(*(st.tuples(st.just(name), _identity) for name in ("a", "b", "c")))
_trust = st.sampled_from(("browser", "server"))

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


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    """Three identity types; guards and limits are mostly off."""
    few = st.none() | st.just(2)
    return Setup(
        identity_types=(
            IdentityType("a", values_max=draw(few)),
            IdentityType("b", case_sensitive=draw(st.booleans()), conflict_blocks_merge=draw(st.booleans())),
            IdentityType("c", trusted_only=draw(st.booleans()), blocked_values=("v3",)),
        ),
        attributes=ATTRIBUTES,
        detach_on_sign_out=draw(st.booleans()),
        profiles_per_merge_max=draw(few),
    )


@st.composite
def histories(draw: st.DrawFn, steps_max: int = 12, erasures: bool = False) -> History:
    """A set-up and up to `steps_max` steps, mostly in the order of their time."""
    erase = st.builds(Step, st.just("erase"), profile=_profile)
    # A list of free length is mostly short, and strangers do not meet in four steps.
    length = draw(st.integers(1, steps_max))
    drawn = draw(st.lists(_steps | erase if erasures else _steps, min_size=length, max_size=length))
    late = draw(st.dictionaries(st.integers(0, steps_max - 1), st.sampled_from((120, 150)), max_size=2))
    return History(draw(setups()), tuple(_timed(drawn, late)))


def _timed(steps: list[Step], late: dict[int, int]) -> list[Step]:
    """One step a minute, except that some are told so many seconds too late."""
    times = [
        max(START_US, START_US + number * MINUTE_US - late.get(number, 0) * SECOND_US)
        for number in range(len(steps))
    ]
    return [_at(step, time) for step, time in zip(steps, times, strict=True)]


def _at(step: Step, time: int) -> Step:
    made: dict[str, Any] = {name: getattr(step, name) for name in step.__struct_fields__}
    return Step(**made | {"at": time})
