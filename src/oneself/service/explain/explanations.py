"""Explain: why the parts of a profile are one, how two parts belong together, or why they do not.

Invariants: read-only, at one instant. What an answer costs does not depend on the size of the profile.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from oneself.core.identity_graph.joins import VIEWS, View
from oneself.service.context import DatasetRef
from oneself.service.explain.apart import causes_apart
from oneself.service.explain.believed import believed_causes, believed_joins, believed_path
from oneself.service.explain.joins import CHUNK, ProfileJoins
from oneself.service.explain.path import FRAGMENTS_MAX, JoinPath
from oneself.service.explain.rendering import explain_joins
from oneself.service.explain.section import GraphSection, read_section
from oneself.service.explain.values import FIRST_JOIN, JoinPage, JoinPosition, ProfileRelation
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.parts import ProfilePart
from oneself.store.database import Database
from oneself.store.transaction import Tables, snapshot

JOINS_MAX = 200


class Explanations:
    """Explains profiles by the joins that hold them together."""

    def __init__(
        self,
        database: Database,
        lookup: Lookup,
        *,
        chunk: int = CHUNK,
        fragments_max: int = FRAGMENTS_MAX,
        is_past: bool = False,
    ) -> None:
        self._database = database
        self._lookup = lookup
        self._chunk = chunk
        self._fragments_max = fragments_max
        #: Whether the tables are as they were at an instant.
        self._is_past = is_past

    async def find(self, dataset_ref: DatasetRef, text: str, view: View) -> ProfilePart | None:
        """The part of a profile that an id means in a view; None if it means none."""
        return await self._lookup.find_part(dataset_ref, text, view)

    async def joins(
        self, dataset_ref: DatasetRef, part: ProfilePart, *, after: JoinPosition = FIRST_JOIN, limit: int
    ) -> JoinPage:
        """Up to `limit` joins of the profile of a part, at most JOINS_MAX, the strongest evidence first.

        A page may be short, or empty, and have a next one.
        """
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            return await self._page(tables, part, after, min(limit, JOINS_MAX))

    async def section(
        self, dataset_ref: DatasetRef, part: ProfilePart, *, after: JoinPosition = FIRST_JOIN
    ) -> GraphSection:
        """A section of the identity graph of the profile of a part, for a picture of bounded size.

        Its joins are the next ones of `joins`; it ends when they tie PARTS_DRAWN_MAX parts.
        """
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            return await read_section(tables, part, after, partial(self._page, tables, part))

    async def relation(
        self, dataset_ref: DatasetRef, one: ProfilePart, other: ProfilePart, *, sees_all: bool
    ) -> ProfileRelation:
        """How two parts belong together in the view in which they were found.

        `sees_all`: whether the reader may know what the business believes.
        """
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            if one.head == other.head:
                return await self._path(tables, one, other)
            if one.view == "all":
                config, is_past = one.profile.config, self._is_past
                causes = await believed_causes(tables, one, other, config, is_past=is_past)
            else:
                causes = await causes_apart(tables, one.view, one, other, one.profile.config)
        one_in = await self._one_in(dataset_ref, one, other, sees_all=sees_all)
        return ProfileRelation(one.view, False, causes=causes, one_in=one_in)

    async def _page(self, tables: Tables, part: ProfilePart, after: JoinPosition, limit: int) -> JoinPage:
        if part.view == "all":
            return await believed_joins(tables, part.head, after, limit, chunk=self._chunk)
        profile = part.profile
        reader = ProfileJoins(
            tables, part.view, part.head, profile.survivor.user_id, profile.config, chunk=self._chunk
        )
        return await reader.page(after, limit)

    async def _path(self, tables: Tables, one: ProfilePart, other: ProfilePart) -> ProfileRelation:
        if one.view == "all":
            path, is_complete = await believed_path(tables, one.part_id, other.part_id)
            return ProfileRelation("all", True, tuple(path), is_complete)
        config = one.profile.config
        finder = JoinPath(tables, one.view, one.head, config, fragments_max=self._fragments_max)
        joins, is_complete = await finder.find(one.part_id, other.part_id)
        found = await explain_joins(tables, joins, finder.graph.fragments, one.view, config)
        return ProfileRelation(one.view, True, tuple(found), is_complete)

    async def _one_in(
        self, dataset_ref: DatasetRef, one: ProfilePart, other: ProfilePart, *, sees_all: bool
    ) -> tuple[View, ...]:
        """The other views in which two parts are one profile."""
        found: list[View] = []
        for view in VIEWS:
            if view == one.view or (view == "all" and not sees_all):
                continue
            heads = {await self._head(dataset_ref, part.part_id, view) for part in (one, other)}
            if len(heads) == 1 and None not in heads:
                found.append(view)
        return tuple(found)

    async def _head(self, dataset_ref: DatasetRef, part_id: UUID, view: View) -> UUID | None:
        found = await self._lookup.find_part(dataset_ref, str(part_id), view)
        return None if found is None else found.head
