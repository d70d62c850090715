"""The event tables, in every spelling, through the decoder and the service."""

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
RUNS = [
    pytest.param(table, case, spelling, id=f"{table.name}:{case.number} spelt as in {number}")
    for table in TABLES
    for case in table.cases
    for number, spelling in table.spellings
]


class CaseRunner:
    """Sends the events of a case and checks the expected clauses; remembers the ids of its users."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        self._services = services
        self._tenant = dataset_ref
        self._users: dict[str, str] = {}
        self._anonymous: list[str] = []

    async def configure(self) -> CaseRunner:
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
        result = await self._services.events.interactions.ingest(
            self._tenant, EventSource(), incoming, config
        )
        clause_kinds = [clause.what for clause in send.clauses]
        # A visitor that becomes a user is promoted: no profile is absorbed.
        absorbed = clause_kinds.count("deletes") + (
            "anonymous activity merged" in clause_kinds and "creates" not in clause_kinds
        )
        assert result.plan is not None
        assert len(result.plan.merges) == absorbed
        for clause in send.clauses:
            await self._check(clause, result, decoded.anonymous_id)
        assert (result.token is not None) == has_identities(event)

    async def check_record(self, record: Record) -> None:
        view = await self._view(self._users[record.user])
        values = view.survivor.record.values
        found = {
            name: read(values, tuple(bound.attribute.split(".")))
            for name, bound in view.config.identity_attributes.items()
        }
        assert {name: value for name, value in found.items() if value is not None} == record.identities

    async def _check(self, clause: Clause, result: EventResult, device: str | None) -> None:
        match clause.what:
            case "anonymous":
                assert result.resolved_id == device
                self._anonymous.append(result.event_id)
            case "creates":
                assert PRIMARY.fullmatch(result.resolved_id or "")
                assert result.resolved_id not in self._users.values()
                self._users[clause.user] = result.resolved_id or ""
            case "tracked against" | "keeps":
                assert result.resolved_id == self._users[clause.user]
            case "deletes":
                view_of_deleted = await self._view(self._users[clause.user])
                assert view_of_deleted.survivor.primary_id == result.resolved_id != self._users[clause.user]
            case "anonymous activity merged":
                assert device is not None
                view = await self._view(device)
                assert view.survivor.primary_id == result.resolved_id
                page = await self._services.history.person_events.page(
                    self._tenant, view, EventFilter(), size=100
                )
                assert {result.event_id, *self._anonymous} <= {event.event_id for event in page.events}

    async def _view(self, text: str) -> ProfileView:
        view = await self._services.profiles.lookup.find(self._tenant, text)
        assert view is not None, text
        return view


def has_identities(event: dict[str, Any]) -> bool:
    """Whether the event has an id or identities."""
    return bool({"id", "identities", "attributes"} & set(event["user"]))


@pytest.mark.postgres
@pytest.mark.parametrize(("table", "case", "spelling"), RUNS)
async def test_events_have_the_outcome_of_the_table(
    services: Services, table: Table, case: Case, spelling: dict[str, Any]
) -> None:
    created = await services.setup.provisioning.create(f"table-{next(_names)}")
    runner = await CaseRunner(services, created.dataset_ref).configure()
    for step in case.steps:
        try:
            if isinstance(step, Send):
                await runner.play(step, spelling)
            else:
                await runner.check_record(step)
        except AssertionError as error:
            raise AssertionError(f"{table.name}:{step.number}, {case.title}: {error}") from error


def test_there_are_three_tables_with_eleven_spellings() -> None:
    assert [len(table.spellings) for table in TABLES] == [5, 3, 3]


HEAD = 'spelling {"user": {"id": "a"}}\ncase one\n'


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_a_mistake_in_a_table_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TableError) as raised:
        parse(text)
    assert str(raised.value).startswith(message)
