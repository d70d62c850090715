"""A rule or binding joins the same people whether it was there before the data or came after it, and the same
people hold what is contested (docs/concepts/resolution.md, rule 7).

The survivor may differ: it is whoever ranks first at the time of the join, and a later join sees later
activity (§4.4).
"""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oneself.core.config.changes import PutIdentityAttributes, Several
from oneself.core.identity.identity_type import IdentityBinding
from oneself.service.profiles.profiles import new_tracker
from oneself.services import Services
from oneself.store.queries import Queries
from support.interactions_harness import configuration
from support.profiles_harness import ACTOR, ProfilesHarness

pytestmark = pytest.mark.postgres

FIND_HOLDER = Queries("claim").find_holder
VALUES = ("C-1", "C-2")
TAGS = ("p", "q")
BINDING = IdentityBinding("emailAddress", "emailAddress", "identity_attributes.emailAddress")


class Act(msgspec.Struct, frozen=True):
    """A profile is made, or one that exists (`of`, counted) gets a value that it lacks or has already."""

    user: int | None = None
    value: str | None = None
    tags: tuple[str, ...] = ()
    of: int | None = None


_made = st.builds(
    Act,
    user=st.none() | st.integers(1, 3),
    value=st.none() | st.sampled_from(VALUES),
    tags=st.sets(st.sampled_from(TAGS)).map(lambda tags: tuple(sorted(tags))),
)
_given = st.builds(Act, value=st.sampled_from(VALUES), of=st.integers(0, 5))
_acts = st.lists(_made | _made | _given, min_size=3, max_size=8)
#: Two users have one value, then somebody else has it as well; the second told it again.
SHARED = [Act(user=1, value="C-1"), Act(user=2, value="C-1"), Act(value="C-1"), Act(value="C-1", of=1)]


def told(acts: list[Act]) -> list[Act]:
    """Only what replaces no value and names each user once: a value that is gone joins nobody later."""
    kept: list[Act] = []
    values: list[str | None] = []
    users: set[int] = set()
    for act in acts:
        if act.of is None and act.user not in users:
            values.append(act.value)
            users |= {act.user} - {None}
            kept.append(act)
        elif act.of is not None and act.of < len(values) and values[act.of] in (None, act.value):
            values[act.of] = act.value
            kept.append(act)
    return kept


class World:
    """A dataset in which a history is told."""

    def __init__(self, services: Services, scope: str, key: str) -> None:
        self.harness = ProfilesHarness(services)
        self.scope, self.key = scope, key
        self.profiles: list[UUID] = []

    async def submit(self, acts: list[Act]) -> None:
        profiles, dataset_ref = self.harness.services.profiles.profiles, self.harness.dataset_ref
        for act in acts:
            values = {} if act.value is None else {self.scope: {self.key: act.value}}
            if act.tags and self.scope == "traits":
                values.setdefault("traits", {})["tags"] = list(act.tags)
            if act.of is not None:
                await profiles.patch(dataset_ref, ACTOR, self.profiles[act.of], values)
                continue
            user_id = None if act.user is None else f"u-{act.user}"
            made = await profiles.create(dataset_ref, ACTOR, values, tracker=new_tracker(), user_id=user_id)
            self.profiles.append(made.profile.profile_id)

    async def people(self) -> set[frozenset[int]]:
        """Who is one person, each profile as its number."""
        survivors = await self.harness.survivors(*self.profiles)
        return {frozenset(n for n, each in enumerate(survivors) if each == one) for one in survivors}

    async def holders(self, namespace: str, values: tuple[str, ...]) -> dict[str, frozenset[int]]:
        """Value → the person that holds it."""
        people, found = await self.people(), {}
        for value in values:
            holder = await self.harness.database.fetchval(
                FIND_HOLDER, self.harness.dataset_ref.dataset_id, namespace, value.casefold()
            )
            if holder is not None:
                number = self.profiles.index(holder)
                found[value] = next(person for person in people if number in person)
        return found


async def _by_rule(services: Services, key: str, acts: list[Act], *, first: bool) -> World:
    world = World(services, "traits", "card")
    await world.harness.begin()
    if first:
        await world.harness.rule(key)
    await world.submit(acts)
    if not first:
        await world.harness.rule(key)
    await world.harness.index()
    return world


async def _by_binding(services: Services, acts: list[Act], *, first: bool) -> World:
    world = World(services, "identity_attributes", "emailAddress")
    dataset_id, change = world.harness.dataset_ref.dataset_id, services.configurations.change
    whole = configuration()
    assert isinstance(whole, Several)
    unbound = tuple(part for part in whole.changes if not isinstance(part, PutIdentityAttributes))
    await change(dataset_id, lambda _: Several(unbound))
    bind = PutIdentityAttributes((BINDING,))
    if first:
        await change(dataset_id, lambda _: bind)
    await world.submit(acts)
    if not first:
        await change(dataset_id, lambda _: bind)
    await world.harness.index()
    return world


async def _same(before: World, after: World, namespace: str, values: tuple[str, ...]) -> None:
    assert await after.people() == await before.people()
    assert await after.holders(namespace, values) == await before.holders(namespace, values)


QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@QUICK
@given(acts=_acts.map(told))
@example(acts=SHARED)
async def test_a_rule_merges_the_same_profiles_before_or_after_the_data(
    services: Services, acts: list[Act]
) -> None:
    before, after = [await _by_rule(services, "card", acts, first=first) for first in (True, False)]
    await _same(before, after, "traits.card", VALUES)


@QUICK
@given(acts=_acts.map(told))
async def test_a_rule_on_a_list_merges_the_same_profiles_before_or_after(
    services: Services, acts: list[Act]
) -> None:
    before, after = [await _by_rule(services, "tags", acts, first=first) for first in (True, False)]
    await _same(before, after, "traits.tags", TAGS)


@QUICK
@given(acts=_acts.map(told))
@example(acts=SHARED)
async def test_a_binding_merges_the_same_profiles_before_or_after_the_data(
    services: Services, acts: list[Act]
) -> None:
    before, after = [await _by_binding(services, acts, first=first) for first in (True, False)]
    await _same(before, after, "emailAddress", VALUES)


@pytest.mark.parametrize("means", ["rule", "binding"])
async def test_the_older_claim_holds_whatever_came_last(services: Services, means: str) -> None:
    """Eight values, each of two users: profiles are made, and tell their values again, in every order."""
    values = tuple(f"C-{number}" for number in range(8))
    first = [Act(user=2 * number, value=value) for number, value in enumerate(values)]
    second = [Act(user=2 * number + 1) for number in range(8)]
    late = [Act(value=value, of=number) for number, value in enumerate(values)]
    again = [Act(value=value, of=8 + number) for number, value in enumerate(values)]
    others = [Act(value=value) for value in values]
    acts = [*second, *first, *late, *again, *others]
    if means == "rule":
        world = await _by_rule(services, "card", acts, first=False)
        holders = await world.holders("traits.card", values)
    else:
        world = await _by_binding(services, acts, first=False)
        holders = await world.holders("emailAddress", values)
    assert holders == {value: frozenset({8 + number, 16 + number}) for number, value in enumerate(values)}
    await world.harness.verified()
