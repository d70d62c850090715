"""Plans as the log stores them."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from oneself.core.resolution.plan import Plan

PROFILE_ID = UUID(int=7)


def test_the_stored_name_of_replays_as_recorded_stays_pinned() -> None:
    stored = {"profile_id": str(PROFILE_ID), "survivor_id": str(PROFILE_ID), "pinned": True}
    plan = Plan(profile_id=PROFILE_ID, survivor_id=PROFILE_ID, replays_as_recorded=True)
    assert msgspec.json.decode(msgspec.json.encode(stored), type=Plan) == plan
    assert msgspec.json.decode(msgspec.json.encode(plan)) == stored


@pytest.mark.parametrize("name", Plan.__struct_fields__[2:])
def test_a_plan_that_does_more_is_no_attachment(name: str) -> None:
    attached = Plan(profile_id=PROFILE_ID, survivor_id=PROFILE_ID)
    assert attached.is_attachment
    assert not msgspec.structs.replace(attached, **{name: True}).is_attachment


def test_a_plan_that_merges_at_once_is_no_attachment() -> None:
    assert not Plan(profile_id=PROFILE_ID, survivor_id=UUID(int=8)).is_attachment
