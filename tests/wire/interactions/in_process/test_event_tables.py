"""Every table of events, in every spelling, through the decoder and the service."""

from __future__ import annotations

import re
import time
from itertools import count
from typing import Any

import pytest

from oneself.api.interactions.decode.event import decode_event
from oneself.api.interactions.decode.incoming import decode_incoming
from oneself.core.config.changes import PutIdentityType
from oneself.core.identity.identity_type import IdentityType
from oneself.core.values.record import read
from oneself.service.context import DatasetRef
from oneself.service.events.incoming import EventSource
from oneself.service.events.result import EventResult
from oneself.service.profiles.profiles import ProfileView
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from oneself.store.tables.event import EventFilter
from scenarios.tables import FILES, Case, Clause, Record, Send, Table, TableError, load, parse

PRIMARY = re.compile(r"[0-9a-f]{24}")
_names = count(1)

TABLES = [load(path) for path in FILES]
PLAYED = [
    pytest.param(table, case, spelling, id=f"{table.name}:{case.number} spelt as in {number}")
    for table in TABLES
    for case in table.cases
    for number, spelling in table.spellings
]


class Pages:
    """The pages of one site, and what they know each other's users by."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        self._services = services
        self._tenant = dataset_ref
        self._users: dict[str, str] = {}
        self._anonymous: list[str] = []

    async def configure(self) -> Pages:
        web_id = PutIdentityType(IdentityType("webId", "Web ID", case_sensitive=True))
        await self._services.configurations.change(self._tenant.dataset_id, lambda _: web_id)
        bindings = [Binding(name, name) for name in ("webId", "emailAddress")]
        await self._services.identity.attributes.put(self._tenant, bindings)
        await self._services.identity.attributes.put_channels(self._tenant, {"Web": "webId"})
        return self

    async def play(self, send: Send, spelling: dict[str, Any]) -> None:
        event = spelling if send.event is None else send.event
        if send.ago_ms is not None:
            event = {**event, "source": {"time": time.time_ns() // 1_000_000 - send.ago_ms}}
        decoded = decode_event(event)

        config = await self._services.configurations.current(self._tenant.dataset_id)
        incoming = decode_incoming(decoded, config)
        taken = await self._services.events.interactions.ingest(self._tenant, EventSource(), incoming, config)
        said = [clause.what for clause in send.clauses]
        # A visitor that becomes a user is promoted: nobody is absorbed.
        absorbed = said.count("deletes") + ("anonymous activity merged" in said and "creates" not in said)
        assert taken.plan is not None
        assert len(taken.plan.merges) == absorbed
        for clause in send.clauses:
            await self._check(clause, taken, decoded.anonymous_id)
        assert (taken.token is not None) == names_somebody(event)

    async def check_record(self, record: Record) -> None:
        view = await self._view(self._users[record.user])
        values = view.survivor.record.values
        found = {
            name: read(values, tuple(bound.attribute.split(".")))
            for name, bound in view.config.identity_attributes.items()
        }
        assert {name: value for name, value in found.items() if value is not None} == record.identities

    async def _check(self, clause: Clause, taken: EventResult, device: str | None) -> None:
        match clause.what:
            case "anonymous":
                assert taken.resolved_id == device
                self._anonymous.append(taken.event_id)
            case "creates":
                assert PRIMARY.fullmatch(taken.resolved_id or "")
                assert taken.resolved_id not in self._users.values()
                self._users[clause.user] = taken.resolved_id or ""
            case "tracked against" | "keeps":
                assert taken.resolved_id == self._users[clause.user]
            case "deletes":
                kept = await self._view(self._users[clause.user])
                assert kept.survivor.primary_id == taken.resolved_id != self._users[clause.user]
            case "anonymous activity merged":
                assert device is not None
                view = await self._view(device)
                assert view.survivor.primary_id == taken.resolved_id
                page = await self._services.history.person_events.page(
                    self._tenant, view, EventFilter(), size=100
                )
                assert {taken.event_id, *self._anonymous} <= {each.event_id for each in page.events}

    async def _view(self, called: str) -> ProfileView:
        view = await self._services.profiles.lookup.find(self._tenant, called)
        assert view is not None, called
        return view


def names_somebody(event: dict[str, Any]) -> bool:
    """Whether the event itself says who it is."""
    return bool({"id", "identities", "attributes"} & set(event["user"]))


@pytest.mark.postgres
@pytest.mark.parametrize(("table", "case", "spelling"), PLAYED)
async def test_an_event_comes_out_as_the_table_says(
    services: Services, table: Table, case: Case, spelling: dict[str, Any]
) -> None:
    founded = await services.setup.provisioning.create(f"table-{next(_names)}")
    pages = await Pages(services, founded.dataset_ref).configure()
    for step in case.steps:
        try:
            if isinstance(step, Send):
                await pages.play(step, spelling)
            else:
                await pages.check_record(step)
        except AssertionError as error:
            raise AssertionError(f"{table.name}:{step.number}, {case.title}: {error}") from error


def test_the_seed_has_three_scenarios_in_eleven_spellings() -> None:
    assert [len(table.spellings) for table in TABLES] == [5, 3, 3]


HEAD = 'spelling {"user": {"id": "a"}}\ncase one\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + "the event", "table:3: ` -> ` and the expected outcome are missing"),
        (HEAD + "the event -> makes U1", "table:3: unknown clause 'makes U1'"),
        (HEAD + "the event -> creates V1", "table:3: unknown clause 'creates V1'"),
        (HEAD + '{"user": -> anonymous', "table:3: invalid JSON: "),
        (HEAD + "[] -> anonymous", "table:3: not a JSON object"),
        (HEAD + 'the record -> {"webId": "a"}', "table:3: a record is a user like U1 and a JSON object"),
        (HEAD + 'spelling {"user": {}}', "table:3: spellings come before the first case"),
        (HEAD + '{"user": {}} -> anonymous', "table:2: `the event` is missing in this case"),
        ("the event -> creates U1", "table:1: a line begins with `spelling` or `case`"),
        ("# nothing", "table: a table has spellings and cases"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(TableError) as raised:
        parse(text)
    assert str(raised.value).startswith(sentence)
