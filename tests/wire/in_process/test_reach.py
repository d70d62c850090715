"""A person's token accesses only what the person owns, on every route (docs/concepts/trust.md).

Ann registers in a browser application that has every permission, requests all of them and tries to access the
data of Vera. Further tests check what applications, and Ann for her own data, can do.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute

from oneself.api.app import create_app, create_framework
from oneself.api.interactions.endpoint import PATTERNS
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.directory.applications import NewApplication
from support.application import SYSTEM
from support.caller import Cds
from support.visitor import CALLBACK, Application, Visitor, claims_of

BROWSER_APPLICATION = "spa"
SCOPE = " ".join(("openid", *PERMISSIONS))
VERAS_WORDS = ("veras-plan", "veras-score", "vera@acme.example", "VerasVisit")
CDS_PREFIX, ADMIN_PREFIX = "/t/{org}/cds/api/v1", "/t/{org}/api/v1"
#: The wires that return profiles and configuration.
WIRES = (CDS_PREFIX, ADMIN_PREFIX, "/api/", "/t/{org}/api/", "/cds/api/v1/profile")
#: The routes that persons can call; each returns only their own data.
PERSONS_ROUTES = {
    "POST /profiles",
    "GET /profiles/Me",
    "PATCH /profiles/Me",
    "GET /profiles/{profile_id}",
    "PATCH /profiles/{profile_id}",
    "DELETE /profiles/{profile_id}",
    "GET /profiles/{profile_id}/consents",
    "PUT /profiles/{profile_id}/consents",
}
#: The other routes reject the request before they read the body.
BODIES: dict[str, Any] = {
    "PATCH /profiles/Me": {"user_id": "stolen"},
    "PATCH /profiles/{profile_id}": {"traits": {"plan": "stolen"}, "user_id": "stolen"},
    "PUT /profiles/{profile_id}/consents": [],
}
UNKNOWN = "00000000-0000-4000-8000-00000000dead"
TABLES = (
    *("account", "application", "claim", "config", "dataset", "identity_server", "log", "merge", "profile"),
    *("refusal", "token_key", "tombstone", "trusted_issuer", "write_key"),
)


class Person(NamedTuple):
    """A registered person. `token` has every permission."""

    token: str
    user_id: str
    profile_id: str
    #: The id of a profile that was merged into theirs.
    absorbed_id: str
    tracker: str

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"cds_profile={self.tracker}"}


class World(NamedTuple):
    """The system application and the two persons."""

    cds: Cds
    ann: Person
    vera: Person
    #: Valid values of path parameters, by the name of the parameter.
    ids: dict[str, str]


@pytest_asyncio.fixture
async def world(cds: Cds) -> AsyncIterator[World]:
    ids = await _configure(cds)
    app = create_app(cds.services, cds.services.settings)
    persons = []
    for name in ("ann", "vera"):
        visitor = Visitor(app)
        persons.append(await _registered(cds, visitor, f"{name}@acme.example"))
        await visitor.http.aclose()
    ann, vera = persons
    values = {"traits": {"plan": "veras-plan"}, "application_data": {SYSTEM: {"score": "veras-score"}}}
    assert (await cds("PATCH", f"/profiles/{vera.profile_id}", json=values)).status_code == 200
    await _consent(cds, vera, ids)
    await _event(cds)
    yield World(cds, ann, vera, ids)


async def _configure(cds: Cds) -> dict[str, str]:
    new = NewApplication("Shop", "browser", (CALLBACK,), (), PERMISSIONS, BROWSER_APPLICATION)
    await cds.services.directory.applications.create(cds.dataset_ref, new)
    (plan,) = await cds.define("traits", {"attribute_name": "traits.plan"})
    for application in (SYSTEM, BROWSER_APPLICATION):
        await cds.define(
            "application_data",
            {"attribute_name": "application_data.score", "application_identifier": application},
        )
    rule = {"rule_name": "plan", "property_name": "traits.plan", "priority": 9, "is_active": False}
    score = {"attribute_name": "application_data.score", "application_identifier": BROWSER_APPLICATION}
    offers = [{"attribute_name": "traits.plan"}, score]
    category = {"category_name": "Offers", "purpose": "personalization", "attributes": offers}
    created_rule = (await cds("POST", "/unification-rules", json=rule)).json()
    created_category = (await cds("POST", "/consent-categories", json=category)).json()
    return {
        "org": "acme",
        "dataset": "default",
        "section": "traits",
        "attribute_id": plan["attribute_id"],
        "rule_id": created_rule["rule_id"],
        "category_id": created_category["category_identifier"],
        "client_id": SYSTEM,
    }


async def _registered(cds: Cds, visitor: Visitor, email: str) -> Person:
    """Register a person with a tracker and a second profile that is merged into the first."""
    first = await cds.create()
    tracker = first["anonymous_profile_tracker"]
    shop = Application(visitor, BROWSER_APPLICATION, None)
    page = await shop.registration(scope=SCOPE, anonymous_profile_tracker=tracker)
    token = str((await shop.tokens(await visitor.register(email, page)))["access_token"])
    assert set(PERMISSIONS) <= set(claims_of(token)["scope"].split())
    user_id = str(claims_of(token)["sub"])
    absorbed = await cds.create(user_id=user_id)
    return Person(token, user_id, first["profile_id"], absorbed["profile_id"], tracker)


async def _consent(cds: Cds, person: Person, ids: dict[str, str]) -> None:
    consents = [{"category_identifier": ids["category_id"], "is_consented": True}]
    answer = await cds("PUT", f"/profiles/{person.profile_id}/consents", json=consents)
    assert answer.status_code == 200, answer.text


async def _event(cds: Cds) -> None:
    event = {
        "interaction": {"name": "VerasVisit"},
        "user": {"attributes": {"emailAddress": "vera@acme.example"}},
    }
    answer = await cds.http.post("/t/acme/api2/event/default", json=event)
    assert answer.status_code == 200, answer.text


class Request(NamedTuple):
    """One request to a route. `route`: its method and the template of its path."""

    method: str
    route: str
    url: str
    body: Any

    @property
    def explains(self) -> bool:
        """Whether a second id can be named."""
        return self.route.endswith("/explain")


def _routes(cds: Cds) -> Iterator[tuple[str, HTTPRoute, Any]]:
    for route in create_framework(cds.services.settings, {}).routes:
        assert isinstance(route, HTTPRoute), f"the test cannot call {route.path}"
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                yield method, route, handler


def _requests(world: World) -> Iterator[Request]:
    vera = world.vera
    names = (vera.profile_id, vera.absorbed_id, vera.user_id, f"user_id:{vera.user_id}", UNKNOWN)
    for method, route, _ in _routes(world.cds):
        template = route.path_format
        operation = f"{method} {template.removeprefix(CDS_PREFIX)}"
        parameters = {part.name for part in route.path_components if not isinstance(part, str)}
        for name in names if {"profile_id", "user_id"} & parameters else names[:1]:
            about = {"profile_id": name, "user_id": name}
            values = {key: about.get(key, world.ids.get(key, UNKNOWN)) for key in parameters}
            url = "/" + "/".join(
                part if isinstance(part, str) else values[part.name] for part in route.path_components
            )
            yield Request(method, f"{method} {template}", url, BODIES.get(operation, {}))


async def _ask(world: World, request: Request, token: str, headers: dict[str, str]) -> httpx.Response:
    params = {"includeApplicationData": "true", "attributes": "traits", "body": "true", "page_size": "50"}
    if request.explains and headers:
        params["with"] = world.vera.profile_id
    return await world.cds.http.request(
        request.method,
        request.url,
        params=params,
        headers={"Authorization": f"Bearer {token}", **headers},
        json=None if request.method in ("GET", "HEAD", "DELETE") else request.body,
    )


async def _stored(world: World) -> dict[str, Any]:
    statement = "SELECT jsonb_agg(to_jsonb(t) ORDER BY t::text) FROM {} AS t"
    database = world.cds.services.database
    return {table: await database.fetchval(statement.format(table)) for table in TABLES}


def _leaked_words(world: World, text: str, request: Request) -> list[str]:
    """The data of Vera in an answer that was not in the request."""
    vera = world.vera
    words = (*VERAS_WORDS, vera.profile_id, vera.absorbed_id, vera.user_id, vera.tracker)
    return [word for word in words if word in text and word not in request.url]


def _is_of_a_wire(route: str) -> bool:
    return route.partition(" ")[2].startswith(WIRES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_no_route_returns_or_changes_data_of_another_person(world: World, accept: str) -> None:
    requests = list(_requests(world))
    before, violations, called = await _stored(world), [], set()
    for request, cookie in itertools.product(requests, ({}, world.vera.cookie)):
        answer = await _ask(world, request, world.ann.token, {"Accept": accept, **cookie})
        key = request.route.replace(CDS_PREFIX, "")
        called.add(request.route)
        rejected = answer.status_code in (401, 403, 404)
        own = key in ("POST /profiles", "GET /profiles/Me", "PATCH /profiles/Me")
        if (_is_of_a_wire(request.route) and not rejected and not own) or answer.status_code >= 500:
            violations.append((request.route, request.url, answer.status_code, answer.text[:200]))
        if leaked := _leaked_words(world, answer.text, request):
            violations.append((request.route, request.url, answer.status_code, leaked))
    assert not violations
    assert await _stored(world) == before
    assert {f"GET {ADMIN_PREFIX}/datasets/{{dataset}}/events", f"GET {CDS_PREFIX}/profiles"} <= called
    assert {f"GET {ADMIN_PREFIX}/profiles/{{profile_id}}/explain"} <= called


async def test_endpoints_outside_the_framework_reject_a_persons_token(world: World) -> None:
    """The endpoints outside the framework. The anonymous endpoint ignores the token."""
    answers = {
        "/api2/": await world.cds.http.post(
            "/t/acme/api2/authevent/default", headers={"Authorization": f"Bearer {world.ann.token}"}, json={}
        )
    }
    for beacon in set(PATTERNS) - set(answers):
        answers[beacon] = await world.cds.http.get(beacon)
    assert answers.pop("/api2/").status_code == 401
    assert {answer.content for answer in answers.values()} == {b""}


async def test_the_routes_for_persons_are_listed(cds: Cds) -> None:
    """A further route for persons has to return only their own data and to be added here."""
    served = {
        f"{method} {route.path_format.removeprefix(CDS_PREFIX)}"
        for method, route, handler in _routes(cds)
        if handler.opt.get("serves_persons")
    }
    assert served == PERSONS_ROUTES


async def test_an_application_accesses_what_its_permissions_allow(world: World) -> None:
    """The same requests with the token of an application return the data of Vera."""
    cds, vera = world.cds, world.vera
    admin = {"Authorization": f"Bearer {await cds.token()}"}
    listed = await cds.listed(attributes="traits")
    assert "veras-plan" in str(listed)
    read = await cds("GET", f"/profiles/{vera.absorbed_id}", params={"includeApplicationData": "true"})
    assert read.json()["application_data"] == {SYSTEM: {"score": "veras-score"}}
    assert (await cds("GET", f"/profiles/{vera.profile_id}/consents")).json()[0]["is_consented"] is True
    events = await cds.http.get("/t/acme/api/v1/datasets/default/events", headers=admin)
    assert "VerasVisit" in events.text
    exported = await cds.http.get(f"/t/acme/api/v1/profiles/{vera.profile_id}/export", headers=admin)
    assert "veras-plan" in exported.text


async def test_an_applications_token_with_a_cookie_reads_by_tracker(world: World) -> None:
    cds, vera = world.cds, world.vera
    me = await cds("GET", "/profiles/Me", headers=vera.cookie)
    assert me.json()["user_id"] == vera.user_id
    # What the shop wrote after she signed in is not of this browser.
    assert "traits" not in me.json()
    repeated = await cds("POST", "/profiles", headers=vera.cookie, json={})
    assert (repeated.status_code, repeated.json()["anonymous_profile_tracker"]) == (200, vera.tracker)


@pytest.mark.parametrize("owner", ["none", "vera", "ann", "temporary"])
async def test_me_is_the_person_of_the_token_with_any_cookie(world: World, owner: str) -> None:
    cds, ann = world.cds, world.ann
    temporary = (await cds.create())["anonymous_profile_tracker"]
    trackers = {"none": "unknown", "vera": world.vera.tracker, "ann": ann.tracker, "temporary": temporary}
    cookie = {"Cookie": f"cds_profile={trackers[owner]}"}
    me = await cds("GET", "/profiles/Me", token=ann.token, headers=cookie)
    assert (me.status_code, me.json()["profile_id"], me.json()["user_id"]) == (
        200,
        ann.profile_id,
        ann.user_id,
    )
    written = await cds(
        "PATCH", "/profiles/Me", token=ann.token, headers=cookie, json={"traits": {"plan": "basic"}}
    )
    assert (written.status_code, written.json()["profile_id"]) == (200, ann.profile_id)


@pytest.mark.parametrize("owner", ["none", "vera", "temporary"])
async def test_creating_a_profile_returns_the_persons_own(world: World, owner: str) -> None:
    """The cookie is not set again, and no profile is created."""
    cds, ann = world.cds, world.ann
    temporary = (await cds.create())["anonymous_profile_tracker"]
    tracker = {"none": "unknown", "vera": world.vera.tracker, "temporary": temporary}[owner]
    before = await _stored(world)
    answer = await cds(
        "POST", "/profiles", token=ann.token, headers={"Cookie": f"cds_profile={tracker}"},
        json={"traits": {"plan": "x"}},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["profile_id"]) == (200, ann.profile_id)
    assert "anonymous_profile_tracker" not in answer.json()
    assert "set-cookie" not in answer.headers
    assert await _stored(world) == before


async def test_a_persons_own_tracker_is_set_again(world: World) -> None:
    ann = world.ann
    answer = await world.cds("POST", "/profiles", token=ann.token, headers=ann.cookie, json={})
    assert (answer.status_code, answer.json()["anonymous_profile_tracker"]) == (200, ann.tracker)
    assert f"cds_profile={ann.tracker}" in answer.headers["set-cookie"]


async def test_a_person_without_a_profile_cannot_create_one(cds: Cds) -> None:
    token = await cds.token(subject="u-unknown")
    answer = await cds("POST", "/profiles", token=token, json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "CDS-10003")
    assert (await cds.listed())["profiles"] == []


async def test_a_person_reads_and_writes_their_own_profile_by_any_of_its_ids(world: World) -> None:
    cds, ann = world.cds, world.ann
    for profile_id in (ann.profile_id, ann.absorbed_id):
        read = await cds("GET", f"/profiles/{profile_id}", token=ann.token)
        assert (read.status_code, read.json()["user_id"]) == (200, ann.user_id)
        values = {"traits": {"plan": f"from {profile_id}"}}
        written = await cds("PATCH", f"/profiles/{profile_id}", token=ann.token, json=values)
        assert (written.status_code, written.json()["user_id"]) == (200, ann.user_id)
        assert (await cds("GET", f"/profiles/{profile_id}")).json()["traits"] == values["traits"]
        consents = [
            {"category_identifier": world.ids["category_id"], "is_consented": profile_id == ann.profile_id}
        ]
        path = f"/profiles/{profile_id}/consents"
        assert (await cds("PUT", path, token=ann.token, json=consents)).status_code == 200
        (stored,) = (await cds("GET", path, token=ann.token)).json()
        assert stored["is_consented"] is consents[0]["is_consented"]


async def test_a_person_can_delete_their_own_profile_only(world: World) -> None:
    """A profile of another person and an unknown profile get the same answer."""
    cds, ann = world.cds, world.ann
    other = await cds("DELETE", f"/profiles/{world.vera.profile_id}", token=ann.token)
    unknown = await cds("DELETE", f"/profiles/{UNKNOWN}", token=ann.token)
    assert (other.status_code, other.json()) == (unknown.status_code, unknown.json())
    assert (other.status_code, other.json()["code"]) == (404, "CDS-11001")
    key = {"Idempotency-Key": "forget me"}
    for _ in range(2):
        deleted = await cds("DELETE", f"/profiles/{ann.profile_id}", token=ann.token, headers=key)
        assert deleted.status_code == 204
    assert (await cds("GET", "/profiles/Me", token=ann.token)).status_code == 404
    assert (await cds("GET", f"/profiles/{world.vera.profile_id}")).status_code == 200


async def test_unknown_and_other_ids_get_the_same_answer(world: World) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("GET", "/consents"), ("PUT", "/consents")):
        answers = [
            await world.cds(
                method, f"/profiles/{profile_id}{path}", token=world.ann.token,
                **({} if method == "GET" else {"json": [] if path else {}}),
            )
            for profile_id in (world.vera.profile_id, UNKNOWN)
        ]  # fmt: skip
        other, unknown = (answer.text for answer in answers)
        assert other.replace(world.vera.profile_id, UNKNOWN) == unknown
        assert {answer.status_code for answer in answers} == {404}


async def test_a_person_can_write_traits_and_data_of_their_application(world: World) -> None:
    cds, ann = world.cds, world.ann
    values = {"traits": {"plan": "gold"}, "application_data": {BROWSER_APPLICATION: {"score": "3"}}}
    await _consent(cds, ann, world.ids)
    asked = {"consentCategoryId": world.ids["category_id"]}
    answer = await cds("PATCH", "/profiles/Me", token=ann.token, json=values, params=asked)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["traits"], answer.json()["application_data"]) == tuple(values.values())


@pytest.mark.parametrize(
    "values",
    [
        {"identity_attributes": {"emailaddress": "vera@acme.example"}},
        {"identity_attributes": {"emailaddress": None}},
        {"identity_attributes": {"unknown": "x"}},
        {"traits": {"plan": "x"}, "identity_attributes": {"givenname": "Vera"}},
        {"application_data": {SYSTEM: {"score": "9"}}},
    ],
    ids=str,
)
async def test_a_person_cannot_write_identity_attributes_or_data_of_other_applications(
    world: World, values: dict[str, Any]
) -> None:
    before = await _stored(world)
    for path in ("/profiles/Me", f"/profiles/{world.ann.profile_id}"):
        answer = await world.cds("PATCH", path, token=world.ann.token, json=values)
        assert (answer.status_code, answer.json()["code"]) == (403, "CDS-10003")
    assert await _stored(world) == before


async def test_a_person_can_send_back_what_they_read(world: World) -> None:
    cds, ann = world.cds, world.ann
    await _consent(cds, ann, world.ids)
    ask: dict[str, Any] = {"token": ann.token, "params": {"consentCategoryId": world.ids["category_id"]}}
    score = {"application_data": {BROWSER_APPLICATION: {"score": "7"}}}
    assert (await cds("PATCH", f"/profiles/{ann.profile_id}", json=score)).status_code == 200
    me = (await cds("GET", "/profiles/Me", **ask)).json()
    assert me["identity_attributes"]["emailaddress"] == "ann@acme.example"
    answer = await cds("PATCH", "/profiles/Me", json={**me, "traits": {"plan": "gold"}}, **ask)
    assert answer.status_code == 200, answer.text
    unchanged = {name: answer.json()[name] for name in ("identity_attributes", "application_data")}
    assert unchanged == {name: me[name] for name in unchanged}
    assert answer.json()["traits"] == {"plan": "gold"}


async def test_idempotency_keys_are_separate_for_each_person(world: World) -> None:
    """The same key, body and path as Vera's gets a separate answer."""
    request: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}, "json": {"traits": {}}}
    veras = await world.cds("PATCH", "/profiles/Me", token=world.vera.token, **request)
    anns = await world.cds("PATCH", "/profiles/Me", token=world.ann.token, **request)
    assert (veras.json()["user_id"], anns.json()["user_id"]) == (world.vera.user_id, world.ann.user_id)
    repeated = await world.cds("PATCH", "/profiles/Me", token=world.vera.token, **request)
    assert repeated.content == veras.content


async def test_a_value_that_a_person_writes_is_not_trusted(world: World) -> None:
    """A value of a `trusted_only` type in a trait that Ann writes does not match another profile."""
    cds, ann = world.cds, world.ann
    await cds.define("traits", {"attribute_name": "traits.card"})
    admin: dict[str, Any] = {"headers": {"Authorization": f"Bearer {await cds.token()}"}}
    new_type = {"id": "card", "label": "Card", "uniqueness": "Identity Namespace", "trusted_only": True}
    created = await cds.http.post("/t/acme/api/v1/identity-types", json=new_type, **admin)
    assert created.status_code == 201, created.text
    bound = await cds.http.put(
        "/t/acme/api/v1/datasets/default/identity-attributes",
        json=[{"name": "card", "identity_type": "card", "attribute": "traits.card"}],
        **admin,
    )
    assert bound.status_code == 200, bound.text
    other_profile = await cds.create(traits={"card": "C-1", "plan": "of another person"})
    answer = await cds("PATCH", "/profiles/Me", token=ann.token, json={"traits": {"card": "C-1"}})
    assert answer.status_code == 200, answer.text
    me = (await cds("GET", f"/profiles/{ann.profile_id}", params={"view": "all"})).json()
    assert me["traits"]["card"] == "C-1"
    assert "merged_to" not in (await cds("GET", f"/profiles/{other_profile['profile_id']}")).json()


async def test_export_has_its_own_permission(world: World) -> None:
    cds, path = world.cds, f"/t/acme/api/v1/profiles/{world.vera.profile_id}/export"
    others = [name.removeprefix("internal_cds_") for name in PERMISSIONS if not name.endswith("_export")]
    for permissions, status in ((others, 403), (["privacy_export"], 200)):
        headers = {"Authorization": f"Bearer {await cds.token(*permissions)}"}
        assert (await cds.http.get(path, headers=headers)).status_code == status
