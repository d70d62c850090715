"""A token of one organisation accesses nothing of another, on every route (docs/concepts/trust.md)."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from oneself.api.app import create_framework
from oneself.services import Services
from support.caller import Cds

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/profiles"): {"user_id": "u-1"},
    ("PATCH", "/profiles/{profile_id}"): {"user_id": "stolen"},
    ("PATCH", "/profiles/Me"): {"user_id": "stolen"},
    ("POST", "/profile-schema/{section}"): [
        {"attribute_name": "traits.theirs", "value_type": "string", "merge_strategy": "overwrite"}
    ],
    ("PUT", "/profile-schema/{section}/{attribute_id}"): {
        "attribute_name": "traits.renamed", "value_type": "string", "merge_strategy": "overwrite",
        "mutability": "readWrite",
    },
    ("PATCH", "/config"): {"cds_enabled": False},
}  # fmt: skip
UNKNOWN = "00000000-0000-4000-8000-00000000dead"
PREFIX = "/t/{org}/cds/api/v1"


class PathValues(dict[str, str]):
    """Values of path parameters; an unknown id for all others."""

    def __missing__(self, name: str) -> str:
        return UNKNOWN


def routes(app: Litestar) -> list[tuple[str, str]]:
    """Every method and path of the organisation's routes."""
    found = [route for route in app.routes if isinstance(route, HTTPRoute)]
    return [
        (method, route.path_format.removeprefix(PREFIX))
        for route in found
        if route.path_format.startswith(PREFIX)
        for method in sorted(route.methods - {"OPTIONS"})
    ]


@pytest.fixture
def every_route(services: Services) -> list[tuple[str, str]]:
    found = routes(create_framework(services.settings, {}))
    assert len(found) >= 17
    return found


async def tables(cds: Cds) -> Any:
    """The stored profiles and configuration of an organisation."""
    statement = "SELECT jsonb_agg(to_jsonb(t) ORDER BY t::text) FROM {} AS t WHERE dataset_id = $1"
    statements = [
        statement.format(table) for table in ("log", "profile", "claim", "idempotency_record", "config")
    ]
    return [await cds.services.database.fetchval(sql, cds.dataset_ref.dataset_id) for sql in statements]


async def test_a_token_of_another_organisation_is_401(
    cds: Cds, stranger: Cds, every_route: list[tuple[str, str]]
) -> None:
    (plan,) = await cds.define("traits", {"attribute_name": "traits.plan"})
    profile = await cds.create(user_id="u-1", traits={"plan": "gold"})
    before = await tables(cds)
    path_values = PathValues(
        profile_id=profile["profile_id"], section="traits", attribute_id=plan["attribute_id"]
    )
    cookie = {"Cookie": f"cds_profile={profile['anonymous_profile_tracker']}"}
    token = await stranger.token(subject="u-1")
    for method, path in every_route:
        body = {"json": BODIES[method, path]} if (method, path) in BODIES else {}
        answer = await cds(method, path.format_map(path_values), token=token, headers=cookie, **body)
        assert answer.status_code == 401, (method, path)
        assert answer.json()["code"] == "CDS-10002"
    assert await tables(cds) == before


async def test_ids_of_another_organisation_are_unknown(
    cds: Cds, stranger: Cds, every_route: list[tuple[str, str]]
) -> None:
    (plan,) = await cds.define("traits", {"attribute_name": "traits.plan"})
    profile = await cds.create(user_id="u-1", traits={"plan": "gold"})
    before = await tables(cds)
    path_values = PathValues(
        profile_id=profile["profile_id"], section="traits", attribute_id=plan["attribute_id"]
    )
    cookie = {"Cookie": f"cds_profile={profile['anonymous_profile_tracker']}"}
    for method, path in every_route:
        if path == "/config":
            continue
        body = {"json": BODIES[method, path]} if (method, path) in BODIES else {}
        answer = await stranger(method, path.format_map(path_values), headers=cookie, **body)
        assert profile["profile_id"] not in answer.text or answer.status_code == 404, (method, path)
        assert plan["attribute_id"] not in answer.text or answer.status_code == 404, (method, path)
    assert await tables(cds) == before


async def test_a_cursor_of_another_organisation_shows_none_of_its_profiles(cds: Cds, stranger: Cds) -> None:
    own = {(await cds.create())["profile_id"] for _ in range(3)}
    cursor = (await cds.listed(page_size=1))["pagination"]["next_cursor"]
    await stranger.create()
    listed = {item["profile_id"] for item in (await stranger.listed(cursor=cursor))["profiles"]}
    assert not listed & own


async def test_unknown_and_other_organisations_get_the_same_answer(cds: Cds, stranger: Cds) -> None:
    headers = {"Authorization": f"Bearer {await cds.token()}"}
    answers = [
        await cds.http.get(f"/t/{handle}/cds/api/v1/profiles", headers=headers)
        for handle in (stranger.dataset_ref.handle, "unknown", "UNKNOWN", "%00", "a" * 300)
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
