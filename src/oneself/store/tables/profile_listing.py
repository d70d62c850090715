"""The list of profiles, page by page, from the table `profile`.

Invariants: what matches is decided by the caller and given as values; each operand is a parameter of the
statement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from oneself.core.units import SEQ_MAX, UUID_MAX
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("profile_listing")
Operator = Literal["eq", "co", "sw"]
#: The views that profiles are listed in.
ListView = Literal["proven", "all"]
#: View, and whether the page lies before the position → the statement.
_PAGES: dict[tuple[ListView, bool], str] = {
    ("all", False): _sql.list_forwards,
    ("all", True): _sql.list_backwards,
    ("proven", False): _sql.list_proven_forwards,
    ("proven", True): _sql.list_proven_backwards,
}
_PLACEHOLDER = re.compile(r"@(\w+)")


class Target(msgspec.Struct, frozen=True):
    """A path in the values of a profile, and what to look for there."""

    #: The keys from the scope down.
    path: tuple[str, ...]
    #: Whether the elements of a list are tested, not the value.
    is_array: bool
    #: Of the value, or of each element.
    json_type: str
    #: A JSON value for `eq`, a text for the other operators.
    operand: Any
    #: The only values that are visible; empty for any.
    canonical: tuple[str, ...] = ()
    #: The consent categories that disclose the value, if the person consented to one of them; None: it is
    #: disclosed anyway.
    categories: tuple[str, ...] | None = None
    #: Whether it is an identity: in the view `proven`, a person's own word of it finds nobody.
    is_identity: bool = False


class CoreMatch(msgspec.Struct, frozen=True):
    """The profile's own id or its user id compares so to a text."""

    field: Literal["user_id", "profile_id"]
    operator: Operator
    text: str


class ValueMatch(msgspec.Struct, frozen=True):
    """The value at any of the targets compares so to the target's operand."""

    operator: Operator
    targets: tuple[Target, ...]


Match = CoreMatch | ValueMatch


class PagePosition(msgspec.Struct, frozen=True):
    """A position in the list; a page begins beside it."""

    created_at: int
    profile_id: UUID
    #: Whether the page lies before the position.
    backwards: bool = False


class ListedProfile(msgspec.Struct, frozen=True):
    """A survivor in the list. Instants in µs since 1970."""

    profile_id: UUID
    user_id: str | None
    created_at: int
    updated_at: int
    #: As stored.
    values: dict[str, Any]
    #: The consent categories to which the person consented.
    consented: frozenset[str]
    #: Profile id and reason of each.
    absorbed: tuple[tuple[str, str], ...]


class ProfileValues(msgspec.Struct, frozen=True):
    """A survivor with its values, as stored."""

    position: PagePosition
    user_id: str | None
    values: dict[str, Any]


class ContainingPage(msgspec.Struct, frozen=True):
    """Survivors whose stored values may contain a text."""

    items: tuple[ProfileValues, ...]
    #: How many survivors were read.
    seen: int
    #: After which to continue; None at the end.
    last: PagePosition | None


#: Before every profile.
FIRST = PagePosition(SEQ_MAX, UUID_MAX)


class ProfileListingTable(Table):
    """The survivors of a dataset as a list."""

    __slots__ = ()

    async def list(
        self,
        matches: Sequence[Match],
        *,
        position: PagePosition,
        limit: int,
        with_values: bool,
        view: ListView,
    ) -> list[ListedProfile]:
        """Up to `limit` profiles beyond a position that match everything, the nearest to it first."""
        page = [self._dataset_id, position.created_at, position.profile_id, limit]
        statement, operands = list_statement(
            matches,
            backwards=position.backwards,
            with_values=with_values,
            first_number=len(page) + 1,
            view=view,
        )
        found = await self._executor.fetch(statement, *page, *operands)
        return [_listed_profile(row, view) for row in found]

    async def list_containing(self, text: str, position: PagePosition, limit: int) -> ContainingPage:
        """Of the next `limit` survivors after a position: those whose values contain a text in any case, and
        the last one.
        """
        escaped = rows.encode_json(text)[1:-1]
        found = await self._executor.fetch(
            _sql.list_containing,
            self._dataset_id,
            position.created_at,
            position.profile_id,
            limit,
            escaped,
        )
        items = tuple(
            ProfileValues(
                PagePosition(row["created_at"], row["profile_id"]),
                row["user_id"],
                msgspec.json.decode(row["record_values"]),
            )
            for row in found
        )
        seen = found[-1]["seen"] if found else 0
        return ContainingPage(items, seen, items[-1].position if seen == limit else None)


def list_statement(
    matches: Sequence[Match], *, backwards: bool, with_values: bool, first_number: int, view: ListView
) -> tuple[str, list[Any]]:
    """The statement that reads a page, and its parameters from number `first_number` on."""
    operands: list[Any] = []
    conditions = "".join(f"\n  AND {_condition(match, view, operands, first_number)}" for match in matches)
    page = _PAGES[view, backwards]
    empty = "'{}'::jsonb"
    values, consents = ("profile.record_values", "profile.consents") if with_values else (empty, empty)
    marks = {"/* values */": values, "/* consents */": consents, "/* conditions */": conditions}
    for mark, text in marks.items():
        page = page.replace(mark, text)
    return page, operands


def _condition(match: Match, view: ListView, operands: list[Any], first_number: int) -> str:
    """The SQL of one condition; its operands are appended."""
    if isinstance(match, CoreMatch):
        condition = getattr(_sql, f"{match.field}_{match.operator}")
        return _numbered(condition, {"operand": match.text}, operands, first_number)
    parts = (
        (_value_condition(match.operator, item, view), _operands_of(item, view)) for item in match.targets
    )
    alternatives = (_numbered(part, values, operands, first_number) for part, values in parts)
    return f"({' OR '.join(alternatives)})"


def _value_condition(operator: Operator, target: Target, view: ListView) -> str:
    test = getattr(_sql, f"value_{operator}")
    conditions = [_sql.value_at_path.replace("/* test */", test)]
    if target.is_identity and view == "proven":
        conditions.append(_sql.is_not_self_said)
    if target.categories is not None:
        conditions.insert(0, _sql.has_consented)
    return conditions[0] if len(conditions) == 1 else f"({' AND '.join(conditions)})"


def _operands_of(target: Target, view: ListView) -> dict[str, Any]:
    return {
        "path": "$" + "".join(f".{msgspec.json.encode(key).decode()}" for key in target.path),
        "is_array": target.is_array,
        "json_type": target.json_type,
        "canonical": list(target.canonical),
        "operand": target.operand,
        "leaf": ".".join(target.path),
        "self_said": rows.encode_json(
            [{"path": target.path, "source": {"trust": "browser"}, "is_asserted_identity": False}]
        ),
        "consents": [_consent(category, view) for category in target.categories or ()],
    }


def _consent(category: str, view: ListView) -> str:
    """JSON that the stored choices of a person contain who consented to a category."""
    if view == "all":
        return rows.encode_json({category: {"is_consented": True}})
    return rows.encode_json([{"category": category, "is_consented": True}])


def _numbered(condition: str, values: dict[str, Any], operands: list[Any], first_number: int) -> str:
    """The condition with each `@word` replaced by the number of its parameter, which is appended."""
    numbers: dict[str, int] = {}
    for word in _PLACEHOLDER.findall(condition):
        if word not in numbers:
            numbers[word] = first_number + len(operands)
            operands.append(values[word])
    return _PLACEHOLDER.sub(lambda placeholder: f"${numbers[placeholder[1]]}", condition)


def _listed_profile(row: asyncpg.Record, view: ListView) -> ListedProfile:
    return ListedProfile(
        profile_id=row["profile_id"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        values=row["record_values"],
        consented=_consented(row["consents"], view),
        absorbed=tuple((profile_id, reason) for profile_id, reason in row["absorbed"] or ()),
    )


def _consented(stored: Any, view: ListView) -> frozenset[str]:
    """The categories to which the person consented; stored by category, or as the choices of a view."""
    if view == "all":
        return frozenset(category for category, choice in stored.items() if choice["is_consented"])
    return frozenset(choice["category"] for choice in stored if choice["is_consented"])
