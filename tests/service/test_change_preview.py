"""The preview of a change of settings predicts what the change does, and changes nothing."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
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
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.errors import InvalidInput
from oneself.service.configuration import PlannedChange
from oneself.service.context import DatasetRef
from oneself.service.log.verify import verify
from oneself.service.preview.concerned import PreviewLimits
from oneself.service.preview.outcome import ViewPreview
from oneself.services import Services
from oneself.store.transaction import begin
from support import databases
from support.effort import examples
from support.story_words import IDENTITIES
from support.tunables import tuned
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import some_ids
from unit.core.identity_graph.steps import Create, Page, Server, Settings, SignIn, Step, Verify

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(2),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(95_000)


def _type(name: str, **changes: Any) -> PlannedChange:
    type_id = IDENTITIES[name][0]
    return PlannedChange(lambda c: PutIdentityType(msgspec.structs.replace(c.types[type_id], **changes)))


def _dataset(**changes: Any) -> PlannedChange:
    return PlannedChange(lambda c: PutDatasetSettings(msgspec.structs.replace(c.dataset, **changes)))


def _limits(**changes: int) -> PlannedChange:
    return PlannedChange(lambda c: PutLimits(msgspec.structs.replace(c.limits, **changes)))


def _blocked(*values: str) -> PlannedChange:
    return PlannedChange(lambda _: PutBlocked(BlockList(frozenset(values))))


def _without(name: str) -> PlannedChange:
    def decide(config: Config) -> ConfigChange:
        type_id = IDENTITIES[name][0]
        bound = config.identity_attributes.values()
        return PutIdentityAttributes(tuple(item for item in bound if item.type_id != type_id))

    return PlannedChange(decide)


#: Changes, each with what is set before the history, if it is not the default.
CHANGES: dict[str, tuple[tuple[PlannedChange, ...], PlannedChange]] = {
    "asserted_merges: all": ((), _dataset(asserted_merges="all")),
    "asserted_merges: unprotected": (
        (_dataset(asserted_merges="all"),),
        _dataset(asserted_merges="unprotected"),
    ),
    "asserted_merges: from unrestricted": (
        (_dataset(asserted_merges="unrestricted"),),
        _dataset(asserted_merges="unprotected"),
    ),
    "keep_apart": (
        (_dataset(channel_identity_conflict="replace"),),
        _dataset(channel_identity_conflict="keep_apart"),
    ),
    "replace": ((), _dataset(channel_identity_conflict="replace")),
    "conflict_blocks_merge": ((), _type("phone", conflict_blocks_merge=True)),
    "conflict_blocks_merge off": (
        (_type("phone", conflict_blocks_merge=True),),
        _type("phone", conflict_blocks_merge=False),
    ),
    "proves_identity": ((), _type("phone", proves_identity=True)),
    "proves_identity off": ((_type("phone", proves_identity=True),), _type("phone", proves_identity=False)),
    "trusted_only": ((), _type("phone", trusted_only=True)),
    "trusted_only off": ((_type("phone", trusted_only=True),), _type("phone", trusted_only=False)),
    "limit raised": ((_limits(profiles_per_merge_max=1),), _limits(profiles_per_merge_max=100)),
    "limit lowered": ((), _limits(profiles_per_merge_max=1)),
    "values raised": ((_limits(values_per_namespace_max=1),), _limits(values_per_namespace_max=100)),
    "blocked": ((), _blocked("1", "c1")),
    "unblocked": ((_blocked("1", "c1"),), _blocked()),
    "type unblocked": ((_type("phone", blocked_values=("1",)),), _type("phone", blocked_values=())),
    "unbound": ((), _without("mail")),
}


_values = st.sampled_from([{}, {"plan": "gold"}, {"interests": ["chess"]}])
_users = st.sampled_from(["ann", "ben"])
_trackers = st.sampled_from(["t1", "t2"])
_ids = some_ids(least=1)
_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Server, ids=_ids, values=_values),
    st.builds(Server, ids=_ids, tracker=_trackers),
    st.builds(Create, name=st.just(""), ids=_ids, values=_values),
    st.builds(Create, name=st.just(""), user=_users, ids=_ids, values=_values),
    st.builds(Verify, user=_users, namespace=st.just("mail"), value=st.sampled_from(["a@", "b@"])),
    st.builds(SignIn, user=_users, tracker=_trackers),
    st.builds(Page, tracker=_trackers, ids=_ids, values=_values),
    st.builds(Page, tracker=_trackers, ids=_ids, values=_values),
)
_histories = st.lists(_steps, min_size=5, max_size=14)


async def _read(services: Services, dataset_id: int) -> dict[View, dict[Any, UUID]]:
    """View → fragment or profile → the profile that it belongs to."""
    fragments = await services.database.fetch(
        "SELECT fragment_id, believed_id, own_id, proven_id FROM fragment WHERE dataset_id = $1", dataset_id
    )
    profiles = await services.database.fetch(
        "SELECT profile_id, coalesce(survivor_id, profile_id) AS head FROM profile WHERE dataset_id = $1",
        dataset_id,
    )
    survivors = {row["profile_id"]: row["head"] for row in profiles}
    return {
        "own": {row["fragment_id"]: row["own_id"] for row in fragments},
        "proven": {row["fragment_id"]: row["proven_id"] for row in fragments},
        "all": {**survivors, **{("f", r["fragment_id"]): survivors[r["believed_id"]] for r in fragments}},
    }


async def _everything(services: Services) -> list[Any]:
    """How many rows each table has, and which rows were changed last."""
    tables = await services.database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'oneself' ORDER BY tablename"
    )
    count = "SELECT count(*), max(xmin::text::bigint), max(xmax::text::bigint) FROM oneself.{}"
    names = [row["tablename"] for row in tables]
    return [(name, tuple(await services.database.fetchrow(count.format(name)) or ())) for name in names]


async def _finish_work(services: Services) -> None:
    """Do what is to be done in the background."""
    while await services.rules.reindexer.step() or await services.log.join_reviewer.step():
        pass
    await services.log.reconciler.reconcile_all()


def _groups(one: dict[Any, UUID], other: dict[Any, UUID]) -> dict[UUID, set[UUID]]:
    """Profile of one moment → those of the other that it consists of, where these are several."""
    found: dict[UUID, set[UUID]] = {}
    for key in one.keys() & other.keys():
        found.setdefault(one[key], set()).add(other[key])
    return {head: parts for head, parts in found.items() if len(parts) > 1}


def _assert_predicted(preview: ViewPreview, before: dict[Any, UUID], after: dict[Any, UUID]) -> None:
    joined = {head: parts - {head} for head, parts in _groups(after, before).items()}
    assert {merge.survivor: set(merge.absorbed) for merge in preview.merges} == joined
    parted = _groups(before, after)
    assert {item.profile_id: {group[0] for group in item.groups} for item in preview.parted} == parted


@pytest.mark.parametrize("name", sorted(CHANGES))
@QUICK
@given(steps=_histories)
async def test_a_preview_equals_the_change(services: Services, name: str, steps: list[Step]) -> None:
    await _assert_preview_equals_change(services, name, steps)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(CHANGES))
@settings(parent=QUICK, max_examples=examples(60))
@given(steps=_histories)
async def test_many_previews_equal_their_changes(services: Services, name: str, steps: list[Step]) -> None:
    await _assert_preview_equals_change(services, name, steps)


async def _assert_preview_equals_change(services: Services, name: str, steps: list[Step]) -> None:
    note((name, steps))
    first, change = CHANGES[name]
    await databases.empty(services.database)
    dataset_id = next(DATASETS)
    played = await PlayedHistory(services, dataset_id).begin(Settings())
    for planned in first:
        await services.configurations.change(dataset_id, planned.decide)
    await played.play(enumerate(steps))
    await _finish_work(services)
    before, stored = await _read(services, dataset_id), await _everything(services)
    preview = await services.rules.change_previews.preview(
        DatasetRef(dataset_id, "history", dataset_id), [change]
    )
    assert await _everything(services) == stored
    await services.configurations.change(dataset_id, change.decide)
    await _finish_work(services)
    after = await _read(services, dataset_id)
    assert preview.is_complete
    for view in VIEWS:
        _assert_predicted(preview.views[view], before[view], after[view])
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference


#: Servers know an address and a card, a page names both; two people have one number.
JOINED = (
    Server(ids={"mail": "a@"}),
    Server(ids={"card": "c1"}),
    Page(tracker="t1", ids={"mail": "a@", "card": "c1"}),
    Server(ids={"mail": "b@", "number": "n1"}),
)


async def _joined(services: Services) -> DatasetRef:
    """A dataset in which a page joins two whom servers know."""
    dataset_id = next(DATASETS)
    played = await PlayedHistory(services, dataset_id).begin(Settings())
    await services.configurations.change(dataset_id, ALL_MERGE.decide)
    await played.play(enumerate(JOINED))
    await _finish_work(services)
    return DatasetRef(dataset_id, "history", dataset_id)


ALL_MERGE, UNPROTECTED = _dataset(asserted_merges="all"), _dataset(asserted_merges="unprotected")


async def test_who_comes_apart_and_why(services: Services) -> None:
    found = await services.rules.change_previews.preview(await _joined(services), [UNPROTECTED])
    assert (found.views["own"].is_empty, found.views["proven"].is_empty) == (True, True)
    (parting,) = found.views["all"].parted
    assert len(parting.groups) == 2
    assert {item.code for item in parting.refusals} == {"untrusted_evidence"}
    assert {item.evidence for item in parting.refusals} == {"asserted"}
    assert found.views["all"].merges == ()


async def test_who_is_joined_and_by_what(services: Services) -> None:
    ref = await _joined(services)
    await services.configurations.change(ref.dataset_id, UNPROTECTED.decide)
    await _finish_work(services)
    found = await services.rules.change_previews.preview(ref, [ALL_MERGE])
    (merge,) = found.views["all"].merges
    (join, *_) = merge.joins
    assert join.identifier is not None
    assert (join.evidence, join.identifier.namespace in ("emailAddress", "traits.card")) == ("asserted", True)
    assert found.views["all"].largest_group == 1 + len(merge.absorbed)


async def test_parts_of_a_change_are_made_together(services: Services) -> None:
    """What the one joins, the other parts again."""
    ref = await _joined(services)
    found = await services.rules.change_previews.preview(ref, [UNPROTECTED, ALL_MERGE])
    assert all(view.is_empty for view in found.views.values())


async def test_a_preview_waits_for_no_lock_of_the_dataset(services: Services) -> None:
    ref = await _joined(services)
    async with begin(services.database, ref.dataset_id) as transaction:
        await transaction.lock_config()
        await transaction.connection.execute("SELECT FROM fragment FOR UPDATE")
        await transaction.connection.execute("SELECT FROM profile FOR UPDATE")
        found = await services.rules.change_previews.preview(ref, [UNPROTECTED])
    assert found.views["all"].parted_count == 1


async def test_a_rejected_change_is_rejected_before_anything_is_read(services: Services) -> None:
    ref = await _joined(services)
    with pytest.raises(InvalidInput):
        await services.rules.change_previews.preview(
            ref, [services.schema.datasets.plan("history", {"asserted_merges": "everybody"})]
        )


@pytest.mark.parametrize("tunables", [tuned(preview_limits=PreviewLimits(fragments_max=3))])
async def test_what_does_not_fit_is_left_out_as_a_whole(services: Services) -> None:
    """Three fragments are joined; others like them do not fit."""
    ref = await _joined(services)
    whole = await services.rules.change_previews.preview(ref, [UNPROTECTED])
    assert (whole.is_complete, whole.views["all"].parted_count) == (True, 1)
    dataset = PlayedHistory(services, ref.dataset_id)
    for letter in "cd":
        await services.configurations.change(ref.dataset_id, ALL_MERGE.decide)
        ids = ({"mail": f"{letter}@"}, {"card": letter}, {"mail": f"{letter}@", "card": letter})
        steps = (Server(ids=ids[0]), Server(ids=ids[1]), Page(tracker=f"t{letter}", ids=ids[2]))
        await dataset.play(enumerate(steps))
    await _finish_work(services)
    part = await services.rules.change_previews.preview(ref, [UNPROTECTED])
    assert (part.is_complete, part.views["all"].parted_count) == (False, 1)
    every = await services.rules.change_previews.preview(ref, [UNPROTECTED], limits=PreviewLimits())
    assert (every.is_complete, every.views["all"].parted_count) == (True, 3)


@pytest.mark.parametrize("tunables", [tuned(preview_limits=PreviewLimits(fragments_max=2))])
async def test_whoever_is_tied_to_too_many_is_left_out(services: Services) -> None:
    found = await services.rules.change_previews.preview(await _joined(services), [UNPROTECTED])
    assert (found.is_complete, found.profiles_examined) == (False, 0)
    assert found.views["all"].is_empty


@pytest.mark.parametrize("tunables", [tuned(preview_entries_max=1)])
async def test_lists_are_cut_and_counts_are_complete(services: Services) -> None:
    found = await services.rules.change_previews.preview(await _joined(services), [UNPROTECTED])
    (parting,) = found.views["all"].parted
    assert [len(group) for group in parting.groups] == [1]
    assert found.views["all"].parted_count == 1


async def test_unfinished_work_is_no_part_of_the_change(services: Services) -> None:
    ref = await _joined(services)
    await services.configurations.change(ref.dataset_id, UNPROTECTED.decide)
    found = await services.rules.change_previews.preview(ref, [_limits(profiles_per_merge_max=50)])
    assert all(view.is_empty for view in found.views.values())
