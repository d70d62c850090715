"""The age of claims follows from stored values (docs/concepts/resolution.md, rule 7)."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.config.changes import PutAttributes, PutRule
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.resolution import evidence
from oneself.core.resolution.evidence import claim_ages
from unit.core.samples import attribute, stored

NAME = "traits.interests"
VALUES = [f"interest-{number}" for number in range(100)]
NOW = 9


@pytest.fixture
def config() -> Config:
    interests = attribute(NAME, multi=True, merge="combine")
    with_attribute = configure(Config(), PutAttributes((interests,)), 1)
    return configure(with_attribute, PutRule(UnificationRule("r1", "by interest", NAME, 1, True)), 2)


def claims(config: Config) -> list[Identifier]:
    source = config.identifier_sources[0]
    return [Identifier(source.name, value) for value in VALUES]


def test_a_claim_is_as_old_as_the_oldest_record_with_its_value(config: Config) -> None:
    first, *others = claims(config)
    records = [
        stored(config.schema, {"traits": {"interests": VALUES}}, number=5),
        stored(config.schema, {"traits": {"interests": VALUES[:1]}}, number=3),
    ]
    ages = claim_ages(records, [first, *others], NOW, config)
    assert ages == {first: 3, **dict.fromkeys(others, 5)}


def test_a_claim_on_a_value_that_no_record_has_is_new(config: Config) -> None:
    new = Identifier(config.identifier_sources[0].name, "chess")
    records = [stored(config.schema, {"traits": {"interests": VALUES}}, number=5)]
    assert claim_ages(records, [new], NOW, config) == {new: NOW}


def test_each_value_is_normalised_once_for_any_number_of_claims(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted: list[Any] = []

    def counting(raw: Identifier, *args: Any) -> Any:
        admitted.append(raw)
        return admit(raw, *args)

    admit = evidence.admit
    monkeypatch.setattr(evidence, "admit", counting)
    records = [stored(config.schema, {"traits": {"interests": VALUES}}, number=5)]
    claim_ages(records, claims(config), NOW, config)
    assert len(admitted) == len(VALUES)
