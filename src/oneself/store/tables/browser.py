"""The table `browser`: which fragments have the words of one tracker or anonymous id."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.browser import BrowserFragments
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.fragment import FragmentRow, read_fragment
from oneself.store.tables.table import Table

_sql = Queries("browser")


class BrowserTable(Table):
    """The browsers of a dataset."""

    __slots__ = ()

    async def find(self, devices: Collection[Identifier]) -> dict[Identifier, BrowserFragments]:
        """Browsers by tracker or anonymous id; unknown ones are missing."""
        if not devices:
            return {}
        columns = rows.columns(2, sorted((item.namespace, item.value) for item in devices))
        found = await self._executor.fetch(_sql.find, self._dataset_id, *columns)
        return {Identifier(row["namespace"], row["value"]): _read(row) for row in found}

    async def find_with_fragments(
        self, devices: Collection[Identifier], *, former: bool
    ) -> tuple[dict[Identifier, BrowserFragments], list[FragmentRow]]:
        """Browsers by tracker or anonymous id, and their fragments, locked against changes.

        `former`: also those of the past.
        """
        if not devices:
            return {}, []
        names, values = [item.namespace for item in devices], [item.value for item in devices]
        found = await self._executor.fetch(_sql.find_with_fragments, self._dataset_id, names, values, former)
        browsers = [row for row in found if row["fragment_id"] is None]
        fragments = [row for row in found if row["fragment_id"] is not None]
        return (
            {Identifier(row["namespace"], row["value"]): _read(row) for row in browsers},
            [read_fragment(row) for row in fragments],
        )

    async def find_replaced(self, tracker: str) -> str | None:
        """The tracker that a fresh one replaces, as long as it leads to the same fragments."""
        found: str | None = await self._executor.fetchval(_sql.find_replaced, self._dataset_id, tracker)
        return found

    async def find_replacing(self, devices: Collection[Identifier]) -> set[Identifier]:
        """The fresh trackers that replace some of these, or that replace those, and so on."""
        trackers = sorted(item.value for item in devices if item.namespace == TRACKER)
        if not trackers:
            return set()
        found = await self._executor.fetch(_sql.find_replacing, self._dataset_id, trackers)
        return {Identifier(TRACKER, row["value"]) for row in found}

    async def put(self, browsers: Mapping[Identifier, BrowserFragments]) -> None:
        """Insert or replace browsers."""
        if browsers:
            content = [_row(device, browsers[device]) for device in sorted(browsers)]
            await self._executor.execute(_sql.put, self._dataset_id, rows.encode_json(content))

    async def delete(self, devices: Collection[Identifier]) -> None:
        """Delete browsers."""
        columns = rows.columns(2, sorted((item.namespace, item.value) for item in devices))
        await self._executor.execute(_sql.delete, self._dataset_id, *columns)


def _row(device: Identifier, browser: BrowserFragments) -> dict[str, Any]:
    return {
        "namespace": device.namespace,
        "value": device.value,
        "present": browser.present,
        "current": browser.current,
        "every": browser.every,
        "reported_user": browser.reported_user,
        "replaces": browser.replaces,
    }


def _read(row: Any) -> BrowserFragments:
    return BrowserFragments(
        present=tuple(row["present"]),
        current=row["current"],
        every=tuple(row["every"]),
        reported_user=row["reported_user"],
        replaces=row["replaces"],
    )
