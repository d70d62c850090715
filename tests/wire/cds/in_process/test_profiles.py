"""Idempotency keys, entity tags, provenance and disclosure of profiles (docs/wire/cds.md §5)."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from support.caller import Cds

PLAN = {"attribute_name": "traits.plan"}
EXPIRE = "UPDATE idempotency_record SET expires_at = now()"


async def read(cds: Cds, profile_id: str, **params: str) -> dict[str, Any]:
    answer = await cds("GET", f"/profiles/{profile_id}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_repeat_with_the_cookie_of_the_first_answer_gets_the_first_answer(cds: Cds) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await cds("POST", "/profiles", json={}, headers=headers)
    cookie = {"Cookie": f"cds_profile={first.json()['anonymous_profile_tracker']}"}
    again = await cds("POST", "/profiles", json={}, headers={**headers, **cookie})
    assert (again.status_code, again.content) == (201, first.content)
    other = await cds("POST", "/profiles", json={}, headers={"Idempotency-Key": "another", **cookie})
    assert other.status_code == 200


async def test_a_key_of_another_request_is_422(cds: Cds) -> None:
    headers = {"Idempotency-Key": "k"}
    profile_id = (await cds("POST", "/profiles", json={}, headers=headers)).json()["profile_id"]
    answer = await cds("POST", "/profiles", json={"user_id": "u-1"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "CDS-10001")
    assert "user_id" not in await read(cds, profile_id)


async def test_a_key_belongs_to_its_route(cds: Cds) -> None:
    """The same key with the same body on another route is a separate key."""
    await cds.define("traits", PLAN)
    headers, body = {"Idempotency-Key": "k"}, {"traits": {"plan": "gold"}}
    first = await cds("POST", "/profiles", json=body, headers=headers)
    other = (await cds.create())["profile_id"]
    patched = await cds("PATCH", f"/profiles/{other}", json=body, headers=headers)
    assert (patched.status_code, patched.json()["profile_id"]) == (200, other)
    link = {"profile_id": other, "user_id": "u-1"}
    assert (await cds("POST", "/profiles/link", json=link, headers=headers)).json() == link
    assert (await cds("DELETE", f"/profiles/{other}", headers=headers)).status_code == 204
    again = await cds("POST", "/profiles", json=body, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_key_belongs_to_its_tracker(cds: Cds) -> None:
    """A browser that sends the key of another browser gets its own profile, existing or new."""
    headers = {"Idempotency-Key": "k"}
    first = await cds("POST", "/profiles", json={}, headers=headers)
    known_tracker = (await cds.create())["anonymous_profile_tracker"]
    for tracker, status in ((known_tracker, 200), (str(uuid.uuid4()), 201)):
        cookie = {"Cookie": f"cds_profile={tracker}"}
        other = await cds("POST", "/profiles", json={}, headers={**headers, **cookie})
        assert other.status_code == status
        assert other.json()["profile_id"] != first.json()["profile_id"]
        assert first.json()["anonymous_profile_tracker"] not in other.text


async def test_a_patch_key_belongs_to_the_tracker_beside_it(cds: Cds) -> None:
    await cds.define("traits", PLAN)
    path, headers = f"/profiles/{(await cds.create())['profile_id']}", {"Idempotency-Key": "k"}
    one, other = ({**headers, "Cookie": f"cds_profile={uuid.uuid4()}"} for _ in range(2))
    await cds("PATCH", path, json={"traits": {"plan": "a"}}, headers=one)
    answer = await cds("PATCH", path, json={"traits": {"plan": "b"}}, headers=other)
    assert (answer.status_code, answer.json()["traits"]) == (200, {"plan": "b"})
    assert (await cds("PATCH", path, json={"traits": {"plan": "b"}}, headers=one)).status_code == 422


async def test_a_key_expires(cds: Cds) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await cds("POST", "/profiles", json={}, headers=headers)
    await cds.services.database.execute(EXPIRE)
    second = await cds("POST", "/profiles", json={}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["profile_id"] != second.json()["profile_id"]
    again = await cds("POST", "/profiles", json={}, headers=headers)
    assert again.content == second.content


async def test_expired_keys_are_deleted(cds: Cds) -> None:
    for key in ("old", "new"):
        await cds("POST", "/profiles", json={}, headers={"Idempotency-Key": key})
        if key == "old":
            await cds.services.database.execute(EXPIRE)
    assert await cds.services.directory.expired_rows.sweep() >= 1
    assert len(await cds.services.database.fetch("SELECT FROM idempotency_record")) == 1


async def test_neither_key_nor_tracker_is_stored(cds: Cds) -> None:
    tracker = str(uuid.uuid4())
    headers = {"Idempotency-Key": "order 4711", "Cookie": f"cds_profile={tracker}"}
    await cds("POST", "/profiles", json={}, headers=headers)
    (row,) = await cds.services.database.fetch("SELECT * FROM idempotency_record")
    assert not any(text in str(dict(row)) for text in (tracker, "4711"))


async def test_a_repeated_delete_gets_the_first_answer(cds: Cds) -> None:
    created = await cds("POST", "/profiles", json={})
    path = f"/profiles/{created.json()['profile_id']}"
    headers = {"Idempotency-Key": "k", "If-Match": created.headers["etag"]}
    answers = [await cds("DELETE", path, headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2
    assert (await cds("GET", path)).status_code == 404


async def test_the_key_of_a_delete_is_422_for_another_request(cds: Cds) -> None:
    headers = {"Idempotency-Key": "k"}
    deleted, remaining = [(await cds.create())["profile_id"] for _ in range(2)]
    assert (await cds("DELETE", f"/profiles/{deleted}", headers=headers)).status_code == 204
    answer = await cds("DELETE", f"/profiles/{remaining}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "CDS-10001")
    assert [profile["profile_id"] for profile in (await cds.listed())["profiles"]] == [remaining]


async def test_the_key_of_an_erased_profile_creates_no_other_profile(cds: Cds) -> None:
    headers = {"Idempotency-Key": "k"}
    created = (await cds("POST", "/profiles", json={}, headers=headers)).json()
    assert (await cds("DELETE", f"/profiles/{created['profile_id']}", headers=headers)).status_code == 204
    assert (await cds("POST", "/profiles", json={}, headers=headers)).status_code == 404
    assert (await cds.listed())["profiles"] == []


async def test_concurrent_deletes_with_one_key_succeed(cds: Cds) -> None:
    path, headers = f"/profiles/{(await cds.create())['profile_id']}", {"Idempotency-Key": "k"}
    answers = await asyncio.gather(*(cds("DELETE", path, headers=headers) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {204}


async def test_a_key_belongs_to_its_application(cds: Cds, regular: Cds) -> None:
    headers = {"Idempotency-Key": "k"}
    system = await cds("POST", "/profiles", json={}, headers=headers)
    other = await regular("POST", "/profiles", json={}, headers=headers)
    assert system.json()["profile_id"] != other.json()["profile_id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ž"])
async def test_a_key_has_at_most_255_printable_characters(cds: Cds, key: str) -> None:
    answer = await cds("POST", "/profiles", json={}, headers={"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "CDS-10001")
    assert (await cds.listed())["profiles"] == []


@pytest.mark.parametrize("tag", ["12", "*x", '"12', 'W"12"', '"12";', ",", "", '"1" "2"', '"a b"', '*, "1"'])
async def test_if_match_must_be_an_entity_tag(cds: Cds, tag: str) -> None:
    profile_id = (await cds.create())["profile_id"]
    for method in ("PATCH", "DELETE"):
        body = {"json": {}} if method == "PATCH" else {}
        answer = await cds(method, f"/profiles/{profile_id}", headers={"If-Match": tag}, **body)
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-10001")


@pytest.mark.parametrize(
    "tag",
    ['W/"1"', '"1", "2"', '""', '"33a64df5"', '"é"', '"1",', ', "1" ,, "2"', '"1"\t,\t"2"', f'"{"9" * 30}"'],
)
async def test_an_entity_tag_of_another_version_or_another_service_is_stale(cds: Cds, tag: str) -> None:
    profile_id = (await cds.create())["profile_id"]
    for method, body in (("PATCH", {"json": {}}), ("DELETE", {})):
        headers: Any = {"If-Match": tag.encode("latin-1")}
        answer = await cds(method, f"/profiles/{profile_id}", headers=headers, **body)
        assert answer.status_code == 412, answer.text


@pytest.mark.parametrize("tag", ["*", "{}", '"1", {}', "{},", '{}, "999999999999999999"', 'W/"1", {}'])
async def test_if_match_names_the_version(cds: Cds, tag: str) -> None:
    created = await cds("POST", "/profiles", json={})
    headers = {"If-Match": tag.format(created.headers["etag"])}
    path = f"/profiles/{created.json()['profile_id']}"
    assert (await cds("PATCH", path, json={}, headers=headers)).status_code == 200


@pytest.mark.parametrize("tag", ['W/"{}"', '"0{}"', '"000{}"', '"1", W/"{}"', '"{}0"', '" {}"', '"+{}"'])
async def test_if_match_compares_whole_strong_tags(cds: Cds, tag: str) -> None:
    created = await cds("POST", "/profiles", json={})
    path, version = f"/profiles/{created.json()['profile_id']}", created.headers["etag"].strip('"')
    for method, body in (("PATCH", {"json": {}}), ("DELETE", {})):
        headers: Any = {"If-Match": tag.format(version)}
        answer = await cds(method, path, headers=headers, **body)
        assert answer.status_code in (400, 412), answer.text


@pytest.mark.parametrize("before", [['"1"'], ['"1"', 'W/"2"'], [""]])
async def test_every_line_of_if_match_is_read(cds: Cds, before: list[str]) -> None:
    created = await cds("POST", "/profiles", json={})
    path, tag = f"/profiles/{created.json()['profile_id']}", created.headers["etag"]
    for lines in ([*before, tag], [tag, *before]):
        assert await _status_with_if_match(cds, path, lines) == 200, lines
    assert await _status_with_if_match(cds, path, ['"1"', '"2"']) == 412
    assert await _status_with_if_match(cds, path, ["*", tag]) == 400


async def _status_with_if_match(cds: Cds, path: str, lines: list[str]) -> int:
    """The status of an empty PATCH with several If-Match lines."""
    headers = [("Authorization", f"Bearer {await cds.token()}"), *(("If-Match", line) for line in lines)]
    url = f"/t/{cds.dataset_ref.handle}/cds/api/v1{path}"
    return (await cds.http.patch(url, json={}, headers=headers)).status_code


async def test_provenance_names_time_interface_and_application(cds: Cds, regular: Cds) -> None:
    draft = {"attribute_name": "application_data.score", "application_identifier": cds.client_id}
    await cds.define("traits", PLAN, {"attribute_name": "traits.secret", "mutability": "writeOnly"})
    await cds.define("application_data", {**draft, "value_type": "integer"})
    body = {"traits": {"plan": "gold", "secret": "x"}, "application_data": {cds.client_id: {"score": 1}}}
    created = await cds.create(**body, identity_attributes={"givenname": "Ann"})
    await regular("PATCH", f"/profiles/{created['profile_id']}", json={"traits": {"plan": "silver"}})

    profile = await read(cds, created["profile_id"], provenance="true")
    assert set(profile["provenance"]) == {"traits.plan", "identity_attributes.givenname"}
    (source,) = profile["provenance"]["traits.plan"]
    assert (source["face"], source["application"], source["time"][-1]) == ("cds", "shop", "Z")
    profile = await read(cds, created["profile_id"], provenance="true", includeApplicationData="true")
    assert f"application_data.{cds.client_id}.score" in profile["provenance"]
    profile = await read(regular, created["profile_id"], provenance="true", includeApplicationData="true")
    assert set(profile["provenance"]) == {"identity_attributes.givenname"}
    assert "provenance" not in await read(cds, created["profile_id"])


async def test_a_regular_application_sees_identity_attributes_only(cds: Cds, regular: Cds) -> None:
    await cds.define("traits", PLAN)
    draft = {"attribute_name": "application_data.score", "application_identifier": "shop"}
    await cds.define("application_data", {**draft, "value_type": "integer"})
    body = {"traits": {"plan": "gold"}, "application_data": {"shop": {"score": 1}}}
    created = await cds.create(**body, identity_attributes={"givenname": "Ann"}, user_id="u-1")
    everything = await read(cds, created["profile_id"], includeApplicationData="true")
    assert everything["application_data"] == {"shop": {"score": 1}}
    assert everything["traits"] == {"plan": "gold"}
    for params in ({}, {"includeApplicationData": "true", "application_identifier": "*"}):
        profile = await read(regular, created["profile_id"], **params)
        assert set(profile) == {"profile_id", "user_id", "meta", "identity_attributes"}


@pytest.mark.parametrize("value", ["True", "TRUE"])
@pytest.mark.parametrize("applications", ["unknown", "unknown,,", "crm,unknown", "*,unknown", ""])
async def test_a_system_application_narrows_application_data(cds: Cds, value: str, applications: str) -> None:
    draft = {"attribute_name": "application_data.score", "application_identifier": cds.client_id}
    await cds.define("application_data", draft)
    created = await cds.create(application_data={cds.client_id: {"score": "1"}})
    params = {"includeApplicationData": value, "application_identifier": applications}
    shown = "application_data" in await read(cds, created["profile_id"], **params)
    assert shown is not applications.startswith("unknown")


async def test_a_new_system_application_sees_all_values_at_once(cds: Cds, regular: Cds) -> None:
    await cds.define("traits", PLAN)
    created = await cds.create(traits={"plan": "gold"})
    assert "traits" not in await read(regular, created["profile_id"])
    await cds("PATCH", "/config", json={"system_applications": ["crm", "shop"]})
    assert "traits" in await read(regular, created["profile_id"])


async def test_me_without_a_user_is_the_profile_of_the_tracker(cds: Cds) -> None:
    created = await cds.create(user_id="u-1")
    cookie = {"Cookie": f"cds_profile={created['anonymous_profile_tracker']}"}
    answer = await cds("GET", "/profiles/Me", headers=cookie)
    assert answer.json()["profile_id"] == created["profile_id"]
    ann = await cds.token(subject="u-2")
    assert (await cds("GET", "/profiles/Me", token=ann, headers=cookie)).status_code == 404
    answer = await cds("PATCH", "/profiles/Me", token=ann, headers=cookie, json={})
    assert (answer.status_code, answer.text) == (401, "Profile not found for token subject")
    assert (await cds("PATCH", "/profiles/Me", json={})).text == "Missing 'sub' in token"


async def test_clearing_or_changing_a_user_id_is_rejected(cds: Cds) -> None:
    created = await cds.create(user_id="u-1")
    for user_id in (None, "", " ", "u-2"):
        answer = await cds("PATCH", f"/profiles/{created['profile_id']}", json={"user_id": user_id})
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011"), user_id
    anonymous = await cds.create()
    for user_id in (None, "", " "):
        path = f"/profiles/{anonymous['profile_id']}"
        assert (await cds("PATCH", path, json={"user_id": user_id})).status_code == 200


@pytest.mark.parametrize(
    "profile_id", ["nonsense", "{}", "0b6e5a4e3b1d4c8e9a550d7e1f2b3c4d", "%00", "a%2Fb", "ž"]
)
async def test_an_invalid_profile_id_is_not_found(cds: Cds, profile_id: str) -> None:
    assert (await cds("GET", f"/profiles/{profile_id}")).status_code == 404
    assert (await cds("PATCH", f"/profiles/{profile_id}", json={})).status_code == 404


async def test_a_profile_id_in_capitals_is_the_same(cds: Cds) -> None:
    created = await cds.create()
    assert (await read(cds, created["profile_id"].upper()))["profile_id"] == created["profile_id"]
