"""The SQL statement that scans the log, for each direction."""

from __future__ import annotations

import pytest

from oneself.store.tables.event import Direction, scan_statement


@pytest.mark.parametrize(
    ("direction", "range_of_log", "order"),
    [
        ("forwards", "(seq, observation_id) > ($2, $3) AND seq < $4", "ORDER BY seq, observation_id"),
        (
            "backwards",
            "(seq, observation_id) < ($2, $3) AND seq >= $4",
            "ORDER BY seq DESC, observation_id DESC",
        ),
    ],
)
def test_a_scan_has_the_range_and_the_order_of_its_direction(
    direction: Direction, range_of_log: str, order: str
) -> None:
    statement = scan_statement(direction)
    assert statement.count(range_of_log) == 1
    assert statement.count(order) == 2
    assert "/*" not in statement
