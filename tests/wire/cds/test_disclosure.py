"""Which values a reader sees, by application and by consent (docs/wire/cds.md §5.3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.service import RunningService
from wire.client import PERMISSIONS, UNKNOWN_ID, Cds, draft, fresh

SCOPES = ("identity_attributes", "traits", "application_data")


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    """A new organisation with a system application."""
    return new_org()


@pytest.fixture(scope="module")
def regular_app(org: Cds, service: RunningService) -> Cds:
    """A regular application of the organisation."""
    return _application(org, service)


@pytest.fixture(scope="module")
def other_app(org: Cds, service: RunningService) -> Cds:
    """Another regular application."""
    return _application(org, service)


def _application(org: Cds, service: RunningService) -> Cds:
    options = [part for name in sorted(PERMISSIONS) for part in ("--permission", name)]
    result = service.command(
        "app", "create", fresh("app"), "--json", "--org", org.org, "--kind", "machine", *options
    )
    assert result.returncode == 0, result.stderr
    application = json.loads(result.stdout)
    return Cds(org.base_url, org.org, application["client_id"], application["client_secret"])


class Person:
    """A profile with two traits, a complex trait, an e-mail address and data of three applications."""

    def __init__(self, org: Cds, regular_app: Cds, other_app: Cds) -> None:
        self.plan, self.size = org.trait(), org.trait()
        self.address = org.address(city="string", street="string")
        self.score = fresh("score")
        applications = [application.client_id for application in (org, regular_app, other_app)]
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

    def visible_to(self, reader: Cds, *categories: str, data: bool = False, **params: str) -> dict[str, Any]:
        """The scopes that a reader sees; `categories` are the requested consent categories."""
        query = [("consentCategoryId", category) for category in categories] + list(params.items())
        if data:
            query.append(("includeApplicationData", "true"))
        answer = reader.get(f"/profiles/{self.id}", params=query)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert shown["user_id"]
        assert set(shown["meta"]) == {"created_at", "updated_at", "location"}
        return {scope: shown[scope] for scope in SCOPES if scope in shown}


@pytest.fixture
def person(org: Cds, regular_app: Cds, other_app: Cds) -> Person:
    return Person(org, regular_app, other_app)


def test_without_categories_an_application_sees_identity_attributes_only(
    person: Person, regular_app: Cds
) -> None:
    assert person.visible_to(regular_app) == {"identity_attributes": person.identity}
    assert person.visible_to(regular_app, data=True) == {"identity_attributes": person.identity}


def test_a_system_application_sees_all(person: Person, org: Cds) -> None:
    expected = {"identity_attributes": person.identity, "traits": person.traits}
    assert person.visible_to(org) == expected
    assert person.visible_to(org, data=True) == {**expected, "application_data": person.data}
    assert person.visible_to(org, UNKNOWN_ID) == expected


@pytest.mark.parametrize(
    ("names", "shown"), [((0,), (0,)), ((1, 2), (1, 2)), (("*",), (0, 1, 2)), (("unknown",), ())], ids=str
)
def test_a_system_application_narrows_by_application(
    person: Person, org: Cds, names: tuple[Any, ...], shown: tuple[int, ...]
) -> None:
    applications = list(person.data)
    categories = ",".join(applications[n] if isinstance(n, int) else n for n in names)
    visible_to = person.visible_to(org, data=True, application_identifier=categories)
    assert visible_to.get("application_data", {}) == {
        applications[n]: person.data[applications[n]] for n in shown
    }


def test_only_consented_attributes_are_visible(person: Person, org: Cds, regular_app: Cds) -> None:
    category = org.category(f"traits.{person.plan}")
    assert "traits" not in person.visible_to(regular_app, category)
    org.consent(person.id, **{category: False})
    assert "traits" not in person.visible_to(regular_app, category)
    org.consent(person.id, **{category: True})
    assert person.visible_to(regular_app, category) == {
        "identity_attributes": person.identity,
        "traits": {person.plan: "gold"},
    }
    assert "traits" not in person.visible_to(regular_app), "a category that is not requested has no effect"
    org.consent(person.id)
    assert "traits" not in person.visible_to(regular_app, category)


@pytest.mark.parametrize("form", ["repeated", "comma list", "with blanks"])
def test_several_categories_are_combined(person: Person, org: Cds, regular_app: Cds, form: str) -> None:
    one, two, refused = (org.category(f"traits.{key}") for key in (person.plan, person.size, person.address))
    org.consent(person.id, **{one: True, two: True, refused: False})
    categories = {
        "repeated": [one, two, refused, UNKNOWN_ID],
        "comma list": [f"{one},{two},{refused},{UNKNOWN_ID},"],
        "with blanks": [f"{one}, {two}", refused],
    }[form]
    assert person.visible_to(regular_app, *categories)["traits"] == {person.plan: "gold", person.size: "m"}


def test_consent_applies_to_first_level_keys(person: Person, org: Cds, regular_app: Cds) -> None:
    category = org.category(f"traits.{person.address}.city")
    org.consent(person.id, **{category: True})
    assert person.visible_to(regular_app, category)["traits"] == {
        person.address: person.traits[person.address]
    }


def test_the_mandatory_category_adds_nothing(person: Person, org: Cds, regular_app: Cds) -> None:
    (mandatory,) = (c for c in org.get("/consent-categories").json() if c["is_mandatory"])
    visible_to = person.visible_to(regular_app, mandatory["category_identifier"])
    assert visible_to == {"identity_attributes": person.identity}


def test_application_data_is_visible_with_consent(person: Person, org: Cds, regular_app: Cds) -> None:
    category = org.category(f"application_data.{person.score}@{regular_app.client_id}")
    assert "application_data" not in person.visible_to(regular_app, category, data=True)
    org.consent(person.id, **{category: True})
    own = {regular_app.client_id: person.data[regular_app.client_id]}
    assert person.visible_to(regular_app, category, data=True)["application_data"] == own
    assert "application_data" not in person.visible_to(regular_app, category)
    assert "application_data" not in person.visible_to(regular_app, data=True)


def test_consent_to_application_data_applies_to_one_application(
    person: Person, org: Cds, regular_app: Cds, other_app: Cds
) -> None:
    category = org.category(f"application_data.{person.score}@{other_app.client_id}")
    org.consent(person.id, **{category: True})
    assert "application_data" not in person.visible_to(regular_app, category, data=True)
    assert set(person.visible_to(other_app, category, data=True)["application_data"]) == {other_app.client_id}


@pytest.mark.parametrize("categories", ["*", "org", "both"])
def test_a_regular_application_cannot_select_applications(
    person: Person, org: Cds, regular_app: Cds, categories: str
) -> None:
    entries = [
        f"application_data.{person.score}@{application.client_id}" for application in (org, regular_app)
    ]
    category = org.category(*entries)
    org.consent(person.id, **{category: True})
    names = {"*": "*", "org": org.client_id, "both": f"{org.client_id},{regular_app.client_id}"}[categories]
    visible_to = person.visible_to(regular_app, category, data=True, application_identifier=names)
    assert visible_to["application_data"] == {regular_app.client_id: person.data[regular_app.client_id]}


@pytest.mark.parametrize("word", ["false", "", "0", "no"])
def test_application_data_is_included_with_true_only(person: Person, org: Cds, word: str) -> None:
    assert "application_data" not in person.visible_to(org, includeApplicationData=word)


def test_consents_apply_to_every_id_of_a_person(person: Person, org: Cds, regular_app: Cds) -> None:
    user = org.read(person.id)["user_id"]
    absorbed = org.create({"user_id": user})["profile_id"]
    category = org.category(f"traits.{person.plan}")
    org.consent(absorbed, **{category: True})
    for profile_id in (person.id, absorbed):
        shown = regular_app.get(f"/profiles/{profile_id}", params={"consentCategoryId": category}).json()
        assert shown["traits"] == {person.plan: "gold"}


def test_a_restrictive_consent_of_an_absorbed_profile_applies(
    person: Person, org: Cds, regular_app: Cds
) -> None:
    category = org.category(f"traits.{person.plan}")
    org.consent(person.id, **{category: True})
    other = org.create()["profile_id"]
    org.consent(other, **{category: False})
    assert "traits" in person.visible_to(regular_app, category)
    org.write(other, {"user_id": org.read(person.id)["user_id"]})
    assert "traits" not in person.visible_to(regular_app, category)


def test_a_changed_category_applies_to_its_new_attributes(person: Person, org: Cds, regular_app: Cds) -> None:
    category = org.category(f"traits.{person.plan}")
    org.consent(person.id, **{category: True})
    body = {
        "category_name": fresh("c"),
        "purpose": "profiling",
        "attributes": [{"attribute_name": f"traits.{person.size}"}],
    }
    assert org.put(f"/consent-categories/{category}", body).status_code == 200
    assert person.visible_to(regular_app, category)["traits"] == {person.size: "m"}
    org.delete(f"/consent-categories/{category}")
    assert "traits" not in person.visible_to(regular_app, category)


def test_lists_and_writes_are_filtered(person: Person, org: Cds, regular_app: Cds) -> None:
    category = org.category(f"traits.{person.plan}")
    org.consent(person.id, **{category: True})
    ask = {"consentCategoryId": category}
    patch = {"traits": {person.plan: "silver", person.size: "l"}}
    answer = regular_app.patch(f"/profiles/{person.id}", patch, params=ask)
    assert answer.json()["traits"] == {person.plan: "silver"}
    params = {"attributes": "traits", "filter": f"profile_id eq {person.id}", **ask}
    (listed,) = regular_app.get("/profiles", params=params).json()["profiles"]
    assert listed["traits"] == {person.plan: "silver"}
