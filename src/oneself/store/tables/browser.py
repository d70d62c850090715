"""The table `browser`: which fragments have the words of one tracker or anonymous id."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any

import msgspec

from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.browser import ActingBrowser, BrowserFragments
from oneself.store import rows
from oneself.store.clock import TransactionClock, read_clock
from oneself.store.queries import Queries
from oneself.store.tables.fragment import FragmentRow, read_fragment
from oneself.store.tables.table import Table

_sql = Queries("browser")


class SpokenBrowsers(msgspec.Struct, frozen=True):
    """Browsers with their fragments, which are locked against changes, and fragments of users."""

    browsers: dict[Identifier, BrowserFragments] = {}
    fragments: list[FragmentRow] = []
    #: Those of which no more is read.
    acting: dict[Identifier, ActingBrowser] = {}
    #: Those of which no more was read, though that does not suffice.
    unclear: frozenset[Identifier] = frozenset()
    #: The last seq of their fragments.
    acting_seq: int = 0
    #: Read when the fragments were locked; None: nothing was.
    clock: TransactionClock | None = None


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
        self,
        devices: Collection[Identifier],
        acting: Collection[Identifier] = (),
        users: Collection[str] = (),
        *,
        former: bool,
    ) -> SpokenBrowsers:
        """Browsers by tracker or anonymous id with their fragments, locked, and those of users themselves.

        `acting`: further ones, of which the fragment suffices that they speak in. `former`: also fragments of
        the past.
        """
        if not (devices or acting or users):
            return SpokenBrowsers()
        if acting and not (devices or users):
            return await self._find_acting(acting)
        asked = [*devices, *acting]
        names, values = [item.namespace for item in asked], [item.value for item in asked]
        found = await self._executor.fetch(
            _sql.find_with_fragments, self._dataset_id, names, values, len(devices), former, sorted(users)
        )
        return _read_spoken(found)

    async def _find_acting(self, devices: Collection[Identifier]) -> SpokenBrowsers:
        names, values = [item.namespace for item in devices], [item.value for item in devices]
        found = await self._executor.fetch(_sql.find_acting, self._dataset_id, names, values)
        return _spoken(found, {}, [])

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

    async def put(
        self, browsers: Mapping[Identifier, BrowserFragments], known: Container[Identifier]
    ) -> None:
        """Insert browsers, or replace them where they are known.

        Where all are new, raises Contended if another transaction began one meanwhile.
        """
        if browsers:
            content = [_row(device, browsers[device]) for device in sorted(browsers)]
            statement = _sql.put if any(device in known for device in browsers) else _sql.insert
            await self._executor.execute(statement, self._dataset_id, rows.encode_json(content))

    async def delete(self, devices: Collection[Identifier]) -> None:
        """Delete browsers."""
        columns = rows.columns(2, sorted((item.namespace, item.value) for item in devices))
        await self._executor.execute(_sql.delete, self._dataset_id, *columns)


def _read_spoken(found: Sequence[Any]) -> SpokenBrowsers:
    browsers: dict[Identifier, BrowserFragments] = {}
    fragments: list[FragmentRow] = []
    for row in found[1:-1]:
        if (namespace := row["namespace"]) is not None:
            browsers[Identifier(namespace, row["value"])] = _read(row)
        else:
            fragments.append(read_fragment(row))
    return _spoken(found, browsers, fragments)


def _spoken(
    found: Sequence[Any], browsers: dict[Identifier, BrowserFragments], fragments: list[FragmentRow]
) -> SpokenBrowsers:
    """The browsers, and those that only act, which the first row has; the last one has the clock."""
    first, last = found[0], found[-1]
    users = dict(zip(first["locked_ids"] or (), first["locked_users"] or (), strict=True))
    names, values = first["acting_names"] or (), first["acting_values"] or ()
    acting: dict[Identifier, ActingBrowser] = {}
    unclear: set[Identifier] = set()
    for name, value, fragment_id in zip(names, values, first["acting_ids"] or (), strict=True):
        device = Identifier(name, value)
        if fragment_id in users:
            acting[device] = ActingBrowser(fragment_id, users[fragment_id])
        else:
            unclear.add(device)
    seq = first["locked_seq"] or 0
    return SpokenBrowsers(browsers, fragments, acting, frozenset(unclear), seq, read_clock(last))


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
