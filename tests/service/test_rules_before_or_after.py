"""A rule or binding merges the same profiles whether it is created before or after the data. The same
profiles hold contested values (docs/concepts/resolution.md, rule 7).

The survivor may differ: it is the profile that ranks first at the time of the merge, and a later merge
includes later activity (rule 4).
"""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oneself.core.config.changes import PutIdentityAttributes, Several
from oneself.core.identity.identity_type import IdentityBinding
from oneself.service.ingest.trackers import new_tracker
from oneself.services import Services
from oneself.store.queries import Queries
from support.effort import examples
from support.interactions_harness import configuration
from support.profiles_harness import ACTOR, ProfilesHarness

pytestmark = pytest.mark.postgres

FIND_HOLDER = Queries("claim").find_holder
VALUES = ("C-1", "C-2")
TAGS = ("p", "q")
BINDING = IdentityBinding("emailAddress", "emailAddress", "identity_attributes.emailAddress")


class Act(msgspec.Struct, frozen=True):
    """Creates a profile, or writes a value to the existing profile number `of`."""

    user: int | None = None
    value: str | None = None
    tags: tuple[str, ...] = ()
    of: int | None = None


_creations = st.builds(
    Act,
    user=st.none() | st.integers(1, 3),
    value=st.none() | st.sampled_from(VALUES),
    tags=st.sets(st.sampled_from(TAGS)).map(lambda tags: tuple(sorted(tags))),
)
_writes = st.builds(Act, value=st.sampled_from(VALUES), of=st.integers(0, 5))
_acts = st.lists(_creations | _creations | _writes, min_size=3, max_size=8)
#: Two users share a value, a profile without user gets it as well, and the second user writes it again.
SHARED = [Act(user=1, value="C-1"), Act(user=2, value="C-1"), Act(value="C-1"), Act(value="C-1", of=1)]


def without_replacements(acts: list[Act]) -> list[Act]:
    """The acts that replace no value and name each user once. A replaced value could not match later."""
    chosen: list[Act] = []
    values: list[str | None] = []
    users: set[int] = set()
    for act in acts:
        if act.of is None and act.user not in users:
            values.append(act.value)
            users |= {act.user} - {None}
            chosen.append(act)
        elif act.of is not None and act.of < len(values) and values[act.of] in (None, act.value):
            values[act.of] = act.value
            chosen.append(act)
    return chosen


class DatasetWithActs:
    """A dataset that receives the acts."""

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
            created = await profiles.create(
                dataset_ref, ACTOR, values, tracker=new_tracker(), user_id=user_id
            )
            self.profiles.append(created.profile.profile_id)

    async def groups(self) -> set[frozenset[int]]:
        """The unified profiles, as sets of profile numbers."""
        survivors = await self.harness.survivors(*self.profiles)
        return {frozenset(n for n, other in enumerate(survivors) if other == one) for one in survivors}

    async def holders(self, namespace: str, values: tuple[str, ...]) -> dict[str, frozenset[int]]:
        """Value → the unified profile that holds it."""
        groups, found = await self.groups(), {}
        for value in values:
            holder = await self.harness.database.fetchval(
                FIND_HOLDER, self.harness.dataset_ref.dataset_id, namespace, value.casefold()
            )
            if holder is not None:
                number = self.profiles.index(holder)
                found[value] = next(group for group in groups if number in group)
        return found


async def _by_rule(services: Services, key: str, acts: list[Act], *, first: bool) -> DatasetWithActs:
    dataset = DatasetWithActs(services, "traits", "card")
    await dataset.harness.begin()
    if first:
        await dataset.harness.rule(key)
    await dataset.submit(acts)
    if not first:
        await dataset.harness.rule(key)
    await dataset.harness.index()
    return dataset


async def _by_binding(services: Services, acts: list[Act], *, first: bool) -> DatasetWithActs:
    dataset = DatasetWithActs(services, "identity_attributes", "emailAddress")
    dataset_id, change = dataset.harness.dataset_ref.dataset_id, services.configurations.change
    full_change = configuration()
    assert isinstance(full_change, Several)
    unbound = tuple(part for part in full_change.changes if not isinstance(part, PutIdentityAttributes))
    await change(dataset_id, lambda _: Several(unbound))
    bind = PutIdentityAttributes((BINDING,))
    if first:
        await change(dataset_id, lambda _: bind)
    await dataset.submit(acts)
    if not first:
        await change(dataset_id, lambda _: bind)
    await dataset.harness.index()
    return dataset


async def _assert_equal(
    before: DatasetWithActs, after: DatasetWithActs, namespace: str, values: tuple[str, ...]
) -> None:
    assert await after.groups() == await before.groups()
    assert await after.holders(namespace, values) == await before.holders(namespace, values)


QUICK = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@QUICK
@given(acts=_acts.map(without_replacements))
@example(acts=SHARED)
async def test_a_rule_merges_the_same_profiles_before_or_after_the_data(
    services: Services, acts: list[Act]
) -> None:
    before, after = [await _by_rule(services, "card", acts, first=first) for first in (True, False)]
    await _assert_equal(before, after, "traits.card", VALUES)


@QUICK
@given(acts=_acts.map(without_replacements))
async def test_a_rule_on_a_list_merges_the_same_profiles_before_or_after(
    services: Services, acts: list[Act]
) -> None:
    before, after = [await _by_rule(services, "tags", acts, first=first) for first in (True, False)]
    await _assert_equal(before, after, "traits.tags", TAGS)


@QUICK
@given(acts=_acts.map(without_replacements))
@example(acts=SHARED)
async def test_a_binding_merges_the_same_profiles_before_or_after_the_data(
    services: Services, acts: list[Act]
) -> None:
    before, after = [await _by_binding(services, acts, first=first) for first in (True, False)]
    await _assert_equal(before, after, "emailAddress", VALUES)


@pytest.mark.parametrize("means", ["rule", "binding"])
async def test_the_older_claim_holds_in_any_order_of_writes(services: Services, means: str) -> None:
    """Eight values, each shared by two users. Profiles without user write them too, and users repeat them."""
    values = tuple(f"C-{number}" for number in range(8))
    first = [Act(user=2 * number, value=value) for number, value in enumerate(values)]
    second = [Act(user=2 * number + 1) for number in range(8)]
    late = [Act(value=value, of=number) for number, value in enumerate(values)]
    again = [Act(value=value, of=8 + number) for number, value in enumerate(values)]
    others = [Act(value=value) for value in values]
    acts = [*second, *first, *late, *again, *others]
    if means == "rule":
        dataset = await _by_rule(services, "card", acts, first=False)
        holders = await dataset.holders("traits.card", values)
    else:
        dataset = await _by_binding(services, acts, first=False)
        holders = await dataset.holders("emailAddress", values)
    assert holders == {value: frozenset({8 + number, 16 + number}) for number, value in enumerate(values)}
    await dataset.harness.verified()
