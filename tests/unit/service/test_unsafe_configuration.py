"""What `oneself doctor` warns of, and what it does not (docs/concepts/trust.md)."""

from __future__ import annotations

import pytest

from oneself.core.config.changes import OrganisationSettings
from oneself.core.config.configuration import Config
from oneself.core.identity.dataset_settings import NEW_DATASET, NEW_DEFAULT_DATASET, DatasetSettings
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.values.attribute import Attribute
from oneself.core.values.schema import Schema
from oneself.service.directory.applications import Application, Kind
from oneself.service.setup.unsafe_configuration import check_applications, check_names, check_sign_in_dataset

MAIL, CARD = "identity_attributes.emailaddress", "traits.card"
VIEW, UPDATE, DELETE = (f"internal_cds_profile_{verb}" for verb in ("view", "update", "delete"))


def application(kind: Kind, *permissions: str) -> Application:
    return Application("shop", "Shop", kind, (), (), permissions, 0)


def rule(attribute: str, *, is_active: bool = True) -> UnificationRule:
    return UnificationRule("r1", "by value", attribute, 1, is_active)


def configured(
    *,
    enabled: bool = True,
    rules: tuple[UnificationRule, ...] = (),
    dataset: DatasetSettings = NEW_DEFAULT_DATASET,
    **bound: str,
) -> Config:
    """`bound`: type → attribute."""
    return Config(
        dataset=dataset,
        settings=OrganisationSettings(cds_enabled=enabled),
        rules={each.rule_id: each for each in rules},
        identity_types={
            "card": IdentityType("card", "Card"),
            "till": IdentityType("till", "Till", trusted_only=True),
        },
        identity_attributes={name: IdentityBinding(name, name, path) for name, path in bound.items()},
    )


def test_a_browser_application_needs_no_more_than_its_person() -> None:
    assert list(check_applications("acme", [application("browser", VIEW, UPDATE)])) == []
    assert (
        list(check_applications("acme", [application("web", DELETE), application("machine", DELETE)])) == []
    )
    (warning,) = check_applications("acme", [application("browser", VIEW, DELETE)])
    assert warning.sentence.endswith(f"needs: {DELETE}.")


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (configured(), []),
        (configured(enabled=False, rules=(rule(MAIL),), emailAddress=MAIL), []),
        (configured(rules=(rule(MAIL, is_active=False),)), []),
        (configured(rules=(rule(CARD),)), []),
        (configured(card=CARD), []),
        (configured(rules=(rule(CARD),), till=CARD), []),
        (configured(dataset=DatasetSettings()), ["(asserted_merges: unrestricted)"]),
        (
            configured(dataset=NEW_DATASET),
            ["(asserted_merges: all)", "the business only believes"],
        ),
        (configured(rules=(rule(MAIL),)), ["the rule 'by value' matches"]),
        (configured(till=MAIL), ["the identity attribute till matches"]),
        (configured(rules=(rule(CARD),), card=CARD), ["an event without credentials that names card"]),
        (
            configured(emailAddress=MAIL),
            [
                "the identity attribute emailAddress matches",
                "without credentials that names emailAddress",
            ],
        ),
    ],
)
def test_what_lets_a_stranger_become_a_person(config: Config, parts: list[str]) -> None:
    found = list(check_sign_in_dataset("acme", config))
    assert len(found) == len(parts)
    for warning, part in zip(found, parts, strict=True):
        assert part in warning.sentence
        assert "oneself " in warning.advice


def test_names_that_differ_only_in_case() -> None:
    def config(*names: str) -> Config:
        return Config(schema=Schema(tuple(Attribute(name, name, "string", "overwrite") for name in names)))

    assert list(check_names("acme", "web", config("traits.plan", "traits.size"))) == []
    (warning,) = check_names("acme", "web", config("traits.plan", "traits.size", "traits.Plan"))
    assert "differ only in case: traits.Plan, traits.plan." in warning.sentence
