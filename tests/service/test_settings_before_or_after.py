"""A setting that admits more holds for what is stored as if it had come before the data.

Two datasets get the same random history. In one the setting is changed before the first step, in the other
after the last one. When the jobs are done, the views `own` and `proven` are equal: members, ids, users,
values. A setting that admits less parts nobody.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0034-changed-guards.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from oneself.core.config.changes import (
    BlockList,
    ConfigChange,
    PutBlocked,
    PutDatasetSettings,
    PutIdentityAttributes,
    PutIdentityType,
    PutLimits,
)
from oneself.core.config.configuration import Config
from oneself.service.log.verify import verify
from oneself.services import Services
from support import databases
from support.effort import examples
from support.story_words import IDENTITIES
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import some_ids
from unit.core.identity_graph.steps import Create, Ids, Page, Server, Settings, SignIn, Step, Verify

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(80_000)
Change = Callable[[PlayedHistory], Any]


class Setting(msgspec.Struct, frozen=True):
    """A setting that is changed."""

    before: Change
    after: Change
    #: The identifiers that identify nobody before: an event that names one stores nothing of it.
    late: tuple[str, ...] = ()


def _configured(decide: Callable[[Config], ConfigChange]) -> Change:
    return lambda played: played.change(decide)


def _type(name: str, **changes: Any) -> Change:
    type_id = IDENTITIES[name][0]
    return _configured(lambda c: PutIdentityType(msgspec.structs.replace(c.types[type_id], **changes)))


def _dataset(**changes: Any) -> Change:
    return _configured(lambda c: PutDatasetSettings(msgspec.structs.replace(c.dataset, **changes)))


def _limits(**changes: int) -> Change:
    return _configured(lambda c: PutLimits(msgspec.structs.replace(c.limits, **changes)))


def _blocked(*values: str) -> Change:
    return _configured(lambda _: PutBlocked(BlockList(frozenset(values))))


def _rule(**changes: bool) -> Change:
    return lambda played: played.change_rule(**changes)


class _Binding:
    """Binds all identity attributes, or all but one."""

    def __init__(self, unbound: str) -> None:
        self._type_id = IDENTITIES[unbound][0]
        self._all: dict[int, Any] = {}

    async def unbind(self, played: PlayedHistory) -> None:
        def decide(config: Config) -> ConfigChange:
            every = self._all[played.dataset_id] = tuple(config.identity_attributes.values())
            return PutIdentityAttributes(tuple(item for item in every if item.type_id != self._type_id))

        await played.change(decide)

    async def bind(self, played: PlayedHistory) -> None:
        await played.change(lambda _: PutIdentityAttributes(self._all[played.dataset_id]))


def _binding(name: str) -> Setting:
    binding = _Binding(name)
    return Setting(binding.unbind, binding.bind, (name,))


SETTINGS = {
    "channel_identity_conflict": Setting(
        _dataset(channel_identity_conflict="keep_apart"), _dataset(channel_identity_conflict="replace")
    ),
    "conflict_blocks_merge": Setting(
        _type("phone", conflict_blocks_merge=True), _type("phone", conflict_blocks_merge=False)
    ),
    "profiles_per_merge_max": Setting(_limits(profiles_per_merge_max=1), _limits(profiles_per_merge_max=100)),
    "values_per_namespace_max": Setting(
        _limits(values_per_namespace_max=1), _limits(values_per_namespace_max=100)
    ),
    "asserted_merges": Setting(_dataset(asserted_merges="unprotected"), _dataset(asserted_merges="all")),
    "proves_identity of a type": Setting(
        _type("phone", proves_identity=False), _type("phone", proves_identity=True)
    ),
    "proves_identity of a rule": Setting(_rule(proves_identity=False), _rule(proves_identity=True)),
    "trusted_only of a type": Setting(_type("phone", trusted_only=True), _type("phone", trusted_only=False)),
    "an active rule": Setting(_rule(is_active=False), _rule(is_active=True), ("card",)),
    "a binding of an address": _binding("mail"),
    "a binding of the customer number": _binding("number"),
    "a blocked value of a type": Setting(
        _type("phone", blocked_values=("1",)), _type("phone", blocked_values=())
    ),
    "a blocked value": Setting(_blocked("c1", "1"), _blocked()),
}

_values = st.one_of(
    st.just({}), st.sampled_from(["plan", "interests", "source"]).map(lambda name: {name: "new"})
)
_users = st.sampled_from(["ann", "ben"])
#: The first steps that may create a profile, which later ones write to.
_created = st.integers(0, 3).map(lambda number: f"p{number}")
#: What an application writes over identities that it wrote before: others, or none.
_replacing: st.SearchStrategy[dict[str, Any]] = st.one_of(
    some_ids(least=1), st.sampled_from(["card", "number"]).map(lambda name: {name: None})
)
_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Server, ids=some_ids(least=1), values=_values),
    st.builds(Server, ids=some_ids(least=1), values=_values),
    st.builds(Server, ids=some_ids(least=1), tracker=st.sampled_from(["t1", "t2"])),
    st.builds(Server, user=_users, ids=some_ids(least=1), values=_values),
    st.builds(Create, name=st.just(""), ids=some_ids(least=1), values=_values),
    st.builds(Create, name=st.just(""), user=_users, ids=some_ids(least=1), values=_values),
    st.builds(Server, profile=_created, ids=_replacing, values=_values),
    st.builds(Server, profile=_created, ids=_replacing, values=_values),
    st.builds(Verify, user=_users, namespace=st.just("mail"), value=st.sampled_from(["a@", "b@"])),
    st.builds(SignIn, user=_users, tracker=st.sampled_from(["t1", "t2"])),
    st.builds(Page, tracker=st.sampled_from(["t1", "t2"]), ids=some_ids(), values=_values),
)
_histories = st.lists(_steps, min_size=3, max_size=12)


def _finished(steps: Iterable[Step], late: tuple[str, ...]) -> list[tuple[int, Step]]:
    """The steps, each with values of its own, and events without identifiers that they would not store."""
    finished: list[tuple[int, Step]] = []
    for number, step in enumerate(steps):
        changes: dict[str, Any] = {}
        if values := getattr(step, "values", None):
            word = f"w{number}"
            changes["values"] = {name: [word] if name == "interests" else word for name in values}
        if isinstance(step, Create):
            changes["name"] = f"p{number}"
        if isinstance(step, Page) or (isinstance(step, Server) and step.user is None and not step.profile):
            ids: Ids = {name: value for name, value in step.ids.items() if name not in late}
            changes["ids"] = ids
            if not ids and isinstance(step, Server) and step.tracker is None:
                continue
        finished.append((number, msgspec.structs.replace(step, **changes)))
    return finished


async def _read(played: PlayedHistory) -> dict[Any, Any]:
    """View and fragment → the profile that shows it. Fragments are named by the step that began them."""
    fragments = [row.fragment for row in await played.fragments()]
    names = {item.fragment_id: (played.step_of(item.began_at), item.origin) for item in fragments}
    assert len(set(names.values())) == len(names)
    return {
        (view, names[fragment_id]): (
            names[profile.profile_id],
            profile.user_id,
            profile.values,
            [(names[part.head], part.reason, played.step_of(part.seq)) for part in profile.absorbed],
        )
        for (view, fragment_id), profile in (await played.profiles()).items()
    }


async def _begin(services: Services, setting: Setting) -> PlayedHistory:
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await setting.before(played)
    return played


async def _assert_verified(services: Services) -> None:
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference


def _replaced(name: str, value: str, then: str | None, *more: Step) -> list[Step]:
    """Two profiles get one value, and one of them loses it before anything reads it."""
    first: list[Step] = [Create(name="", ids={name: value}), Create(name="", ids={name: value})]
    return [*first, Server(profile="p0", ids={name: then}), *more]  # type: ignore[dict-item]


#: A server names a number twice, and nothing else; people of one browser sign in.
_TWICE: list[Step] = [Server(ids={"phone": "1", "card": "c1"}), Server(ids={"phone": "1", "card": "c1"})]
_SHARED: list[Step] = [Page(tracker="t1", ids={"phone": "1"}), SignIn(user="ann", tracker="t1"), *_TWICE]


@QUICK
@example(name="an active rule", steps=_replaced("card", "c1", "c2"))
@example(name="an active rule", steps=_replaced("card", "c1", None))
@example(name="an active rule", steps=_replaced("card", "c1", "c2", Server(profile="p0", ids={"card": "c1"})))
@example(name="a binding of the customer number", steps=_replaced("number", "n1", "n2"))
@example(name="a binding of an address", steps=_replaced("mail", "a@", "b@"))
@example(name="a blocked value", steps=_replaced("card", "c1", "c2"))
@example(name="a blocked value of a type", steps=_replaced("phone", "1", "2"))
@example(name="a blocked value of a type", steps=[*_TWICE, Server(ids={"mail": "a@", "phone": "1"})])
@example(name="a blocked value", steps=[*_TWICE, Create(name="", ids={"card": "c1"}), *_TWICE])
@example(name="trusted_only of a type", steps=[Page(tracker="t1", ids={"mail": "a@"}), *_SHARED])
@given(name=st.sampled_from(sorted(SETTINGS)), steps=_histories)
async def test_a_setting_holds_alike_before_and_after_the_data(
    services: Services, name: str, steps: list[Step]
) -> None:
    setting = SETTINGS[name]
    history = _finished(steps, setting.late)
    note((name, history))
    await databases.empty(services.database)
    before, after = await _begin(services, setting), await _begin(services, setting)
    await setting.after(before)
    for played in (before, after):
        await played.play(history)
    await setting.after(after)
    assert before.rejected == after.rejected
    assert await _read(before) == await _read(after)
    await _assert_verified(services)


#: Settings that keep people apart.
GUARDS = ("channel_identity_conflict", "conflict_blocks_merge", "profiles_per_merge_max")


@QUICK
@given(name=st.sampled_from(GUARDS), steps=_histories)
async def test_a_setting_that_admits_less_parts_nobody(
    services: Services, name: str, steps: list[Step]
) -> None:
    """Not even if all joins are judged again. It admits more again when it is changed back."""
    setting, history = SETTINGS[name], _finished(steps, ())
    note((name, history))
    await databases.empty(services.database)
    played = await _begin(services, setting)
    await setting.after(played)
    await played.play(history)
    before = await _read(played)
    for change in (setting.before, setting.after):
        await change(played)
        await played.review()
        assert await _read(played) == before
    await _assert_verified(services)
