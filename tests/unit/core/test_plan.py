"""Plans as the log stores them."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.resolution.plan import Plan

PROFILE_ID = UUID(int=7)


def test_the_stored_name_of_replays_as_recorded_stays_pinned() -> None:
    stored = {"profile_id": str(PROFILE_ID), "survivor_id": str(PROFILE_ID), "pinned": True}
    plan = Plan(profile_id=PROFILE_ID, survivor_id=PROFILE_ID, replays_as_recorded=True)
    assert msgspec.json.decode(msgspec.json.encode(stored), type=Plan) == plan
    assert msgspec.json.decode(msgspec.json.encode(plan)) == stored
