"""`/t/{org}/api/v1/datasets/{dataset}/changes` as a stream."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wire.admin.test_event_stream import STREAM, stream, take
from wire.admin.test_lookup import WebDataset, device
from wire.client import Cds, assert_error


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


@pytest.fixture
def web(org: Cds) -> WebDataset:
    return WebDataset(org)


def test_a_stream_sends_new_changes_and_resumes_after_an_id(web: WebDataset) -> None:
    x, y = device(), device()
    web.event("before", device())
    with stream(web, of="changes", view="all") as following:
        start_id, no_change = next(following)
        assert no_change is None, "the first message has an id and no change"
        web.event("one", x, emailAddress="ann@acme.example")
        web.event("two", y)
        web.event("three", y, emailAddress="ann@acme.example")
        found = take(following, 3)
        kinds = [change["type"] for _, change in found]
        assert kinds == ["profile.created", "profile.created", "profile.merged"]
        assert [change["cursor"] for _, change in found] == [event_id for event_id, _ in found]
        assert found[2][1]["after"] == found[0][1]["after"]
        assert {*found[2][1]["before"]} == {*found[0][1]["after"], *found[1][1]["after"]}
    with stream(web, found[1][0], of="changes", view="all") as following:
        assert take(following, 1) == found[2:]
    with stream(web, start_id, of="changes", view="proven") as following:
        assert [change["type"] for _, change in take(following, 2)] == ["profile.created"] * 2
    with stream(web, of="changes", start="oldest") as following:
        assert len(take(following, 3)) == 3


def test_a_stream_has_the_errors_and_views_of_a_list(web: WebDataset) -> None:
    headers = {**STREAM, "Last-Event-ID": "elsewhere"}
    assert_error(web.org.admin("GET", web.path("changes"), headers=headers), 400, "CDS-10001")
    token = web.org.token("profile_view")
    every = web.org.admin("GET", web.path("changes"), params={"view": "all"}, headers=STREAM, token=token)
    assert every.status_code == 403
