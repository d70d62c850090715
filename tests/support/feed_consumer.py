"""A system that keeps a table of ids from the change feed alone, and what the table has to say."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.adapters.change_event import ChangeDocument, FeedSource, render_change
from oneself.core.identity_graph.joins import View
from oneself.service.context import DatasetRef
from oneself.service.history.change_feed import ChangeFeed
from oneself.store.database import Database
from oneself.store.tables.profile_change import BEGINNING, ChangePosition
from oneself.store.transaction import Tables
from support.stored_views import list_fragments

_PROFILES = "SELECT profile_id, survivor_id, erased FROM profile WHERE dataset_id = $1"


class FeedConsumer:
    """Applies changes as docs/guides/change-feed.md says."""

    def __init__(self, *, expects_reasons: bool = False) -> None:
        self.expects_reasons = expects_reasons
        #: Id → the profile that it means now; None: it was erased.
        self.current: dict[UUID, UUID | None] = {}
        self.documents: list[ChangeDocument] = []

    def apply(self, document: ChangeDocument) -> None:
        self.documents.append(document)
        profile_id, after = document.profile_id, document.after
        if self.expects_reasons and document.type in ("profile.merged", "profile.split"):
            assert document.reason, document
        match document.type:
            case "profile.created":
                assert self.current.get(profile_id) is None, document
            case "profile.merged":
                self._point(set(document.before), profile_id)
                self.current |= dict.fromkeys(document.before, profile_id)
            case "profile.split":
                assert self.current.get(profile_id, profile_id) == profile_id, document
                self.current |= {UUID(item): head for item, head in (document.moved or {}).items()}
            case "profile.erased":
                self._point({profile_id}, None)
                self.current[profile_id] = None
            case "profile.updated":
                assert self.current[profile_id] == profile_id, document
                assert document.changed, document
        self.current |= {item: item for item in after}

    def _point(self, former: set[UUID], now: UUID | None) -> None:
        for item, head in self.current.items():
            if head in former:
                self.current[item] = now


class FollowedDataset:
    """A dataset with a consumer of each view."""

    def __init__(self, database: Database, dataset_ref: DatasetRef, *, page_size: int = 7) -> None:
        self._database = database
        self._ref = dataset_ref
        self._feed = ChangeFeed(database, days=7, observations_per_page=5)
        self._page_size = page_size
        views: tuple[View, ...] = ("own", "proven", "all")
        self.consumers = {view: FeedConsumer(expects_reasons=True) for view in views}
        self._positions: dict[View, ChangePosition] = dict.fromkeys(self.consumers, BEGINNING)

    async def read(self) -> None:
        """Read everything that is new."""
        for view, consumer in self.consumers.items():
            more = True
            while more:
                page = await self._feed.page(
                    self._ref, view, after=self._positions[view], size=self._page_size
                )
                source = FeedSource(self._ref.handle, self._ref.dataset, view)
                for item in page.changes:
                    consumer.apply(render_change(item.change, item.position, item.observation_id, source))
                self._positions[view], more = page.position, page.more

    async def assert_right(self) -> None:
        """Every id of a table means what the view says, and every profile of the view is in the table."""
        tables = Tables(self._database, self._ref.dataset_id)
        fragments = await list_fragments(tables)
        stored: dict[View, dict[UUID, UUID]] = {
            "own": {row.fragment.fragment_id: row.own_id for row in fragments},
            "proven": {row.fragment.fragment_id: row.proven_id for row in fragments},
            "all": {
                row["profile_id"]: row["survivor_id"] or row["profile_id"]
                for row in await self._database.fetch(_PROFILES, self._ref.dataset_id)
                if not row["erased"]
            },
        }
        for view, consumer in self.consumers.items():
            known = {item: stored[view].get(item) for item in consumer.current}
            assert consumer.current == known, (view, _differing(consumer.current, known), consumer.documents)
            heads = set(stored[view].values())
            missing = heads - {head for head in consumer.current.values() if head is not None}
            assert not missing, (view, missing, consumer.documents)
            absorbed = await self._absorbed(view)
            assert absorbed <= consumer.current.keys(), (view, absorbed - consumer.current.keys())

    async def _absorbed(self, view: View) -> set[UUID]:
        """The ids that answers of a view name as merged."""
        if view == "all":
            statement = (
                "SELECT profile_id AS id FROM profile WHERE dataset_id = $1 AND survivor_id IS NOT NULL"
            )
            found = await self._database.fetch(statement, self._ref.dataset_id)
        else:
            statement = (
                "SELECT (part ->> 'head')::uuid AS id "
                "FROM view_profile, jsonb_array_elements(absorbed) AS part "
                "WHERE dataset_id = $1 AND view = $2"
            )
            found = await self._database.fetch(statement, self._ref.dataset_id, view)
        return {row["id"] for row in found}


def _differing(one: dict[UUID, UUID | None], other: dict[UUID, UUID | None]) -> dict[UUID, object]:
    return {item: (head, other[item]) for item, head in one.items() if head != other[item]}


def as_json(document: ChangeDocument) -> dict[str, object]:
    """What is sent."""
    return dict(msgspec.json.decode(msgspec.json.encode(document)))
