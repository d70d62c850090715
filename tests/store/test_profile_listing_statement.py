"""The SQL statement that reads a page of profiles, for each filter and direction."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from oneself.store.tables.profile_listing import (
    CoreMatch,
    Match,
    Operator,
    Target,
    ValueMatch,
    list_statement,
)

PLAN = Target(("traits", "plan"), is_array=False, json_type="string", operand="gold")
TAGS = Target(("traits", "a.b"), is_array=True, json_type="string", operand="x", canonical=("x", "y"))


StatementOf = Callable[..., tuple[str, list[Any]]]


@pytest.fixture(params=["all", "proven"])
def statement_of(request: pytest.FixtureRequest) -> StatementOf:
    """Makes the statement that lists profiles of a view."""

    def make(*matches: Match, backwards: bool = False, with_values: bool = True) -> tuple[str, list[Any]]:
        return list_statement(
            matches, backwards=backwards, with_values=with_values, first_number=5, view=request.param
        )

    return make


def numbers_of(statement: str) -> set[int]:
    return {int(number) for number in re.findall(r"\$(\d+)", statement)}


@pytest.mark.parametrize(("backwards", "comparison", "order"), [(False, "<", " DESC"), (True, ">", "")])
def test_a_page_has_the_range_and_the_order_of_its_direction(
    statement_of: StatementOf, backwards: bool, comparison: str, order: str
) -> None:
    statement, operands = statement_of(backwards=backwards)
    assert f"(profile.created_at, profile.profile_id) {comparison} ($2, $3)" in statement
    assert f"ORDER BY profile.created_at{order}, profile.profile_id{order}\n" in statement
    assert (numbers_of(statement), operands) == ({1, 2, 3, 4}, [])


@pytest.mark.parametrize(("with_values", "values"), [(True, "profile.record_values"), (False, "'{}'::jsonb")])
def test_values_are_read_only_if_they_are_needed(
    statement_of: StatementOf, with_values: bool, values: str
) -> None:
    statement, _ = statement_of(with_values=with_values)
    assert f"{values} AS record_values" in statement


def test_operands_are_numbered_from_the_parameters_of_the_page_on(statement_of: StatementOf) -> None:
    statement, operands = statement_of(CoreMatch("user_id", "eq", "ann"), CoreMatch("profile_id", "sw", "0b"))
    assert "AND profile.user_id = $5::text" in statement
    assert "AND starts_with(profile.profile_id::text, lower($6::text))" in statement
    assert operands == ["ann", "0b"]


def test_a_repeated_operand_of_a_condition_is_one_parameter(statement_of: StatementOf) -> None:
    statement, operands = statement_of(ValueMatch("eq", (TAGS,)))
    assert operands == ['$."traits"."a.b"', True, "string", ["x", "y"], "x"]
    assert statement.count("$8::text[]") == 2


def test_only_a_target_with_categories_asks_for_consents(statement_of: StatementOf) -> None:
    with_consent = structs.replace(PLAN, categories=("offers", "news"))
    statement, operands = statement_of(ValueMatch("eq", (with_consent, TAGS)))
    assert statement.count("profile.consents @> ANY ($5::text[]::jsonb[])") == 1
    assert len(operands[0]) == 2
    assert all(name in text for name, text in zip(("offers", "news"), operands[0], strict=True))


def test_a_condition_matches_any_of_its_targets(statement_of: StatementOf) -> None:
    statement, operands = statement_of(ValueMatch("eq", (PLAN, TAGS)))
    assert statement.count("EXISTS") == 2
    assert statement.count(" OR EXISTS") == 1
    assert len(operands) == 10


@pytest.mark.parametrize("operator", ["eq", "co", "sw"])
def test_no_placeholder_and_no_operand_is_in_the_statement(
    statement_of: StatementOf, operator: Operator
) -> None:
    text = "'; DROP TABLE profile; -- /* test */ @operand"
    target = Target(("traits", text), is_array=False, json_type="string", operand=text)
    fields = (CoreMatch("user_id", operator, text), CoreMatch("profile_id", operator, text))
    statement, operands = statement_of(*fields, ValueMatch(operator, (target,)))
    assert "/*" not in statement
    assert "@" not in statement
    assert "DROP" not in statement
    assert numbers_of(statement) == set(range(1, 5 + len(operands)))
