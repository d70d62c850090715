"""Pages of the profile list, put together from the parts in `sql/listing.sql`.

Decides nothing: `service.listing` says as values what matches, and every operand in them travels as a
parameter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from oneself.store.database import Database
from oneself.store.queries import Queries

SQL = Queries("listing.sql")
Operator = Literal["eq", "co", "sw"]
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Target(msgspec.Struct, frozen=True):
    """A place in the values of a profile. `operand`: a JSON value for `eq`, text for the others.

    `path`: the keys from the scope down. `json_type`: of the value, or of each element if `is_array`.
    `canonical`: the only values that are not hidden; empty = any.
    """

    path: tuple[str, ...]
    is_array: bool
    json_type: str
    operand: Any
    canonical: tuple[str, ...] = ()


class CoreMatch(msgspec.Struct, frozen=True):
    """The profile's own id or its user id stands in this relation to `text`."""

    field: Literal["user_id", "profile_id"]
    operator: Operator
    text: str


class ValueMatch(msgspec.Struct, frozen=True):
    """The value at any of the targets stands in this relation to the target's operand."""

    operator: Operator
    targets: tuple[Target, ...]


Match = CoreMatch | ValueMatch


class PagePosition(msgspec.Struct, frozen=True):
    """The profile where a page begins (itself not on it), and whether the page lies before it in the list."""

    created_at: int
    profile_id: UUID
    backwards: bool = False


class ListedProfile(msgspec.Struct, frozen=True):
    """A survivor in the list. `values` are as stored; `absorbed`: (profile id, reason) of each."""

    profile_id: UUID
    user_id: str | None
    created_at: int
    updated_at: int
    values: dict[str, Any]
    absorbed: tuple[tuple[str, str], ...]


#: Before every profile in the list: the last instant that PostgreSQL and Python share.
_BEGINNING = PagePosition(253_402_300_799_999_999, UUID(int=2**128 - 1))


class ProfileListingStore:
    """Reads pages of the profile list."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_profiles(
        self,
        dataset_id: int,
        matches: Sequence[Match],
        *,
        edge: PagePosition | None,
        limit: int,
        with_values: bool,
    ) -> list[ListedProfile]:
        """Up to `limit` survivors beyond `edge`, nearest to it first."""
        start = edge or _BEGINNING
        given: list[Any] = [dataset_id, start.created_at, start.profile_id, limit]
        conditions = "".join(f"\n   AND {_condition(match, given)}" for match in matches)
        page = SQL.page_backwards if start.backwards else SQL.page_forwards
        values = "p.record_values" if with_values else "'{}'::jsonb"
        sql = page.replace("/* values */", values).replace("/* conditions */", conditions)
        return [_listed(row) for row in await self._database.fetch(sql, *given)]


def _condition(match: Match, given: list[Any]) -> str:
    """The SQL of one condition; its operands are appended to `given`."""
    if isinstance(match, CoreMatch):
        return _filled(getattr(SQL, f"{match.field}_{match.operator}"), {"operand": match.text}, given)
    alternatives = (_value_condition(match.operator, target, given) for target in match.targets)
    return f"({' OR '.join(alternatives)})"


def _value_condition(operator: Operator, target: Target, given: list[Any]) -> str:
    operands = {
        "path": "$" + "".join(f".{msgspec.json.encode(key).decode()}" for key in target.path),
        "is_array": target.is_array,
        "json_type": target.json_type,
        "canonical": list(target.canonical),
        "operand": target.operand,
    }
    return _filled(SQL.value.replace("/* test */", getattr(SQL, f"value_{operator}")), operands, given)


def _filled(part: str, operands: dict[str, Any], given: list[Any]) -> str:
    """`part` with each `{word}` replaced by the number of its parameter."""
    numbers: dict[str, int] = {}
    for word in _PLACEHOLDER.findall(part):
        if word not in numbers:
            given.append(operands[word])
            numbers[word] = len(given)
    return _PLACEHOLDER.sub(lambda found: f"${numbers[found[1]]}", part)


def _listed(row: asyncpg.Record) -> ListedProfile:
    return ListedProfile(
        profile_id=row["profile_id"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        values=row["record_values"],
        absorbed=tuple((profile_id, reason) for profile_id, reason in row["absorbed"] or ()),
    )
