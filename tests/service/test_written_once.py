"""What is written once keeps its first value, whatever brings another one: a write, an event, a join.

`support/view_stage.py` explains how a story is written: `source` is written once.

Source: docs/concepts/merging.md, "Values that are written once".
"""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.service.log.verify import verify
from oneself.services import Services
from support import databases
from support.view_histories import PlayedHistory
from support.view_stage import Stage
from unit.core.identity_graph.histories import some_ids
from unit.core.identity_graph.steps import Create, Page, Server, Settings, SignIn, Step

pytestmark = pytest.mark.postgres

STORIES: dict[str, str] = {
    "of two profiles that become one, the first value stays": """
        post A TA source=ad
        post B TB source=search
        patch A card=1
        patch B card=1
        A = A < B card=1 source=ad
        B all = B > A card=1 source=ad
    """,
    "whichever of them survives": """
        post B TB source=search
        post A TA source=ad
        patch A card=1
        patch B card=1
        A = A < B card=1 source=search
        B all = B > A card=1 source=search
    """,
    "a creation that joins brings another value": """
        post A source=ad mail=ann@
        post B source=search mail=ann@
        A = A < B mail=ann@ source=ad
        A all = A < B mail=ann@ source=ad
    """,
    "an event of another part brings another value": """
        post A source=ad mail=ann@
        server mail=ann@ card=1
        server card=1 source=search
        A = A card=1 mail=ann@ source=ad
        A all = A card=1 mail=ann@ source=ad
    """,
    "an event that happened before brings no other value": """
        post A source=ad mail=ann@
        server mail=ann@ card=1
        server card=1 source=search at=1600000000000
        A = A card=1 mail=ann@ source=ad
    """,
    "a value that is repeated is as old as it was": """
        post A source=ad mail=ann@
        post B source=search card=1
        patch A source=ad
        server mail=ann@ card=1
        A = A < B card=1 mail=ann@ source=ad
    """,
    "what a browser said before a sign-in stays": """
        post F TF source=ad
        registers ann TF
        post B source=search user=ann
        Me ann = F < B ann mail=ann@ source=ad
        erases ann
    """,
    "a part that is erased takes its value along": """
        post A source=ad mail=ann@
        post B source=search mail=ann@
        delete A own
        B = B mail=ann@ source=search
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_a_story_reads_as_written(stage: Stage, story: str) -> None:
    await stage.play(story)


async def test_a_value_that_is_not_valid_any_more_counts_as_not_set(stage: Stage) -> None:
    await stage.cds.define(
        "traits", {"attribute_name": "traits.level", "mutability": "writeOnce", "value_type": "string"}
    )
    await stage.play("post A mail=ann@\npost B card=1")
    for name, level in (("A", "low"), ("B", "7")):
        path = f"/profiles/{stage.profile_id(name)}"
        answer = await stage.cds("PATCH", path, json={"traits": {"level": level}})
        assert answer.status_code == 200, answer.text
    listed = (await stage.cds("GET", "/profile-schema/traits")).json()
    attribute = next(item for item in listed if item["attribute_name"] == "traits.level")
    changed = {**attribute, "canonical_values": [{"value": "7", "label": "seven"}]}
    path = f"/profile-schema/traits/{attribute['attribute_id']}"
    answer = await stage.cds("PUT", path, json=changed)
    assert answer.status_code == 200, answer.text
    await stage.play("server mail=ann@ card=1")
    for view in ("proven", "all"):
        found = await stage.cds("GET", f"/profiles/{stage.profile_id('A')}", params={"view": view})
        assert found.json()["traits"]["level"] == "7", view


DATASETS = count(90_000)
_users, _trackers = st.sampled_from(["ann", "ben"]), st.sampled_from(["t1", "t2"])
_values = st.sampled_from([{"source": "new"}, {"source": "new"}, {}])
_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Server, ids=some_ids(least=1), values=_values),
    st.builds(Server, user=_users, ids=some_ids(), values=_values),
    st.builds(Create, name=st.just("p"), ids=some_ids(least=1), values=_values),
    st.builds(Server, profile=st.just("p"), ids=some_ids(), values=_values),
    st.builds(SignIn, user=_users, tracker=_trackers),
    st.builds(Page, tracker=_trackers, ids=some_ids(), values=_values),
)


def _numbered(step: Step, number: int) -> Step:
    """The step, with its number as the value that it brings."""
    values = dict.fromkeys(getattr(step, "values", {}), f"w{number}")
    return msgspec.structs.replace(step, values=values) if values else step


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(_steps, min_size=3, max_size=14))
async def test_every_view_shows_the_first_value(services: Services, steps: list[Step]) -> None:
    """Each step that brings a value names itself."""
    note(steps)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play((number, _numbered(step, number)) for number, step in enumerate(steps))
    said: dict[object, list[int]] = {}
    for row in await played.fragments():
        for write in row.fragment.writes:
            if write.path == ("traits", "source"):
                said.setdefault(row.fragment.fragment_id, []).append(int(str(write.value)[1:]))
    first: dict[object, int] = {}
    profiles = await played.profiles()
    for (view, fragment_id), profile in profiles.items():
        for number in said.get(fragment_id, ()):
            key = view, profile.profile_id
            first[key] = min(number, first.get(key, number))
    for (view, _), profile in profiles.items():
        number = first.get((view, profile.profile_id))
        shown = profile.values.get("traits", {}).get("source")
        assert shown == (None if number is None else f"w{number}")
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference
