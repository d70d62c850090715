"""What a reader is shown, by application and by consent (docs/wire/cds.md §5.3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.service import RunningService
from wire.client import PERMISSIONS, UNKNOWN_ID, Cds, draft, fresh

SECTIONS = ("identity_attributes", "traits", "application_data")


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    """Its own application is a system application."""
    return new_org()


@pytest.fixture(scope="module")
def visitor(org: Cds, service: RunningService) -> Cds:
    """A regular application of the organisation."""
    return _application(org, service)


@pytest.fixture(scope="module")
def stranger(org: Cds, service: RunningService) -> Cds:
    """Another regular application."""
    return _application(org, service)


def _application(org: Cds, service: RunningService) -> Cds:
    options = [part for name in sorted(PERMISSIONS) for part in ("--permission", name)]
    said = service.command(
        "app", "create", fresh("app"), "--json", "--org", org.org, "--kind", "machine", *options
    )
    assert said.returncode == 0, said.stderr
    made = json.loads(said.stdout)
    return Cds(org.base_url, org.org, made["client_id"], made["client_secret"])


class Person:
    """A profile with two traits, a complex one, an e-mail and a value of three applications."""

    def __init__(self, org: Cds, visitor: Cds, stranger: Cds) -> None:
        self.plan, self.size = org.trait(), org.trait()
        self.address = org.address(city="string", street="string")
        self.score = fresh("score")
        applications = [each.client_id for each in (org, visitor, stranger)]
        for application in applications:
            name = f"application_data.{self.score}"
            org.define("application_data", draft(name, "integer", application_identifier=application))
        self.data = {application: {self.score: n} for n, application in enumerate(applications)}
        self.traits = {self.plan: "gold", self.size: "m", self.address: {"city": "Galle", "street": "1"}}
        self.identity = {"emailaddress": "ann@acme.example"}
        self.id = str(
            org.create(
                {
                    "user_id": fresh("u"),
                    "identity_attributes": self.identity,
                    "traits": self.traits,
                    "application_data": self.data,
                }
            )["profile_id"]
        )

    def seen(self, reader: Cds, *asked: str, data: bool = False, **params: str) -> dict[str, Any]:
        """The sections that a reader is shown."""
        query = [("consentCategoryId", each) for each in asked] + list(params.items())
        if data:
            query.append(("includeApplicationData", "true"))
        answer = reader.get(f"/profiles/{self.id}", params=query)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert shown["user_id"]
        assert set(shown["meta"]) == {"created_at", "updated_at", "location"}
        return {section: shown[section] for section in SECTIONS if section in shown}


@pytest.fixture
def person(org: Cds, visitor: Cds, stranger: Cds) -> Person:
    return Person(org, visitor, stranger)


def test_an_uncategorised_application_sees_identity_attributes_only(person: Person, visitor: Cds) -> None:
    assert person.seen(visitor) == {"identity_attributes": person.identity}
    assert person.seen(visitor, data=True) == {"identity_attributes": person.identity}


def test_a_system_application_sees_all(person: Person, org: Cds) -> None:
    whole = {"identity_attributes": person.identity, "traits": person.traits}
    assert person.seen(org) == whole
    assert person.seen(org, data=True) == {**whole, "application_data": person.data}
    assert person.seen(org, UNKNOWN_ID) == whole


@pytest.mark.parametrize(
    ("names", "shown"), [((0,), (0,)), ((1, 2), (1, 2)), (("*",), (0, 1, 2)), (("nobody",), ())], ids=str
)
def test_a_system_application_narrows_by_application(
    person: Person, org: Cds, names: tuple[Any, ...], shown: tuple[int, ...]
) -> None:
    applications = list(person.data)
    asked = ",".join(applications[n] if isinstance(n, int) else n for n in names)
    seen = person.seen(org, data=True, application_identifier=asked)
    assert seen.get("application_data", {}) == {applications[n]: person.data[applications[n]] for n in shown}


def test_only_consented_attributes_are_visible(person: Person, org: Cds, visitor: Cds) -> None:
    category = org.category(f"traits.{person.plan}")
    assert "traits" not in person.seen(visitor, category)
    org.consent(person.id, **{category: False})
    assert "traits" not in person.seen(visitor, category)
    org.consent(person.id, **{category: True})
    assert person.seen(visitor, category) == {
        "identity_attributes": person.identity,
        "traits": {person.plan: "gold"},
    }
    assert "traits" not in person.seen(visitor), "a category that is not asked for opens nothing"
    org.consent(person.id)
    assert "traits" not in person.seen(visitor, category)


@pytest.mark.parametrize("form", ["repeated", "comma list", "with blanks"])
def test_several_categories(person: Person, org: Cds, visitor: Cds, form: str) -> None:
    one, two, refused = (org.category(f"traits.{key}") for key in (person.plan, person.size, person.address))
    org.consent(person.id, **{one: True, two: True, refused: False})
    asked = {
        "repeated": [one, two, refused, UNKNOWN_ID],
        "comma list": [f"{one},{two},{refused},{UNKNOWN_ID},"],
        "with blanks": [f"{one}, {two}", refused],
    }[form]
    assert person.seen(visitor, *asked)["traits"] == {person.plan: "gold", person.size: "m"}


def test_the_filter_works_on_first_level_keys(person: Person, org: Cds, visitor: Cds) -> None:
    category = org.category(f"traits.{person.address}.city")
    org.consent(person.id, **{category: True})
    assert person.seen(visitor, category)["traits"] == {person.address: person.traits[person.address]}


def test_the_mandatory_category_opens_nothing_more(person: Person, org: Cds, visitor: Cds) -> None:
    (mandatory,) = (c for c in org.get("/consent-categories").json() if c["is_mandatory"])
    seen = person.seen(visitor, mandatory["category_identifier"])
    assert seen == {"identity_attributes": person.identity}


def test_application_data_passes_when_it_was_consented_to(person: Person, org: Cds, visitor: Cds) -> None:
    category = org.category(f"application_data.{person.score}@{visitor.client_id}")
    assert "application_data" not in person.seen(visitor, category, data=True)
    org.consent(person.id, **{category: True})
    own = {visitor.client_id: person.data[visitor.client_id]}
    assert person.seen(visitor, category, data=True)["application_data"] == own
    assert "application_data" not in person.seen(visitor, category)
    assert "application_data" not in person.seen(visitor, data=True)


def test_application_data_compares_the_application_as_well(
    person: Person, org: Cds, visitor: Cds, stranger: Cds
) -> None:
    category = org.category(f"application_data.{person.score}@{stranger.client_id}")
    org.consent(person.id, **{category: True})
    assert "application_data" not in person.seen(visitor, category, data=True)
    assert set(person.seen(stranger, category, data=True)["application_data"]) == {stranger.client_id}


@pytest.mark.parametrize("asked", ["*", "org", "both"])
def test_naming_applications_counts_for_no_regular_one(
    person: Person, org: Cds, visitor: Cds, asked: str
) -> None:
    entries = [f"application_data.{person.score}@{each.client_id}" for each in (org, visitor)]
    category = org.category(*entries)
    org.consent(person.id, **{category: True})
    names = {"*": "*", "org": org.client_id, "both": f"{org.client_id},{visitor.client_id}"}[asked]
    seen = person.seen(visitor, category, data=True, application_identifier=names)
    assert seen["application_data"] == {visitor.client_id: person.data[visitor.client_id]}


@pytest.mark.parametrize("word", ["false", "", "0", "no"])
def test_application_data_is_asked_for_with_true(person: Person, org: Cds, word: str) -> None:
    assert "application_data" not in person.seen(org, includeApplicationData=word)


def test_consents_are_the_persons_by_every_id(person: Person, org: Cds, visitor: Cds) -> None:
    user = org.read(person.id)["user_id"]
    absorbed = org.create({"user_id": user})["profile_id"]
    category = org.category(f"traits.{person.plan}")
    org.consent(absorbed, **{category: True})
    for profile_id in (person.id, absorbed):
        shown = visitor.get(f"/profiles/{profile_id}", params={"consentCategoryId": category}).json()
        assert shown["traits"] == {person.plan: "gold"}


def test_a_restrictive_choice_of_an_absorbed_profile_closes(person: Person, org: Cds, visitor: Cds) -> None:
    category = org.category(f"traits.{person.plan}")
    org.consent(person.id, **{category: True})
    other = org.create()["profile_id"]
    org.consent(other, **{category: False})
    assert "traits" in person.seen(visitor, category)
    org.write(other, {"user_id": org.read(person.id)["user_id"]})
    assert "traits" not in person.seen(visitor, category)


def test_a_changed_category_opens_what_it_lists_now(person: Person, org: Cds, visitor: Cds) -> None:
    category = org.category(f"traits.{person.plan}")
    org.consent(person.id, **{category: True})
    body = {
        "category_name": fresh("c"),
        "purpose": "profiling",
        "attributes": [{"attribute_name": f"traits.{person.size}"}],
    }
    assert org.put(f"/consent-categories/{category}", body).status_code == 200
    assert person.seen(visitor, category)["traits"] == {person.size: "m"}
    org.delete(f"/consent-categories/{category}")
    assert "traits" not in person.seen(visitor, category)


def test_lists_and_writes_are_not_filtered(person: Person, visitor: Cds) -> None:
    answer = visitor.patch(f"/profiles/{person.id}", {"traits": {person.plan: "silver"}})
    assert answer.json()["traits"][person.plan] == "silver"
    params = {"attributes": "traits", "filter": f"profile_id eq {person.id}"}
    (listed,) = visitor.get("/profiles", params=params).json()["profiles"]
    assert listed["traits"][person.plan] == "silver"
