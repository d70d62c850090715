"""Values that identified nobody when an event named them, and that a change of the settings admits.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0065-values-that-are-admitted-later.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.config.changes import BlockList, PutBlocked, PutIdentityType
from oneself.core.config.configuration import Config
from oneself.service.as_of.reading import AsOf
from oneself.service.by_hand.asked import Why
from oneself.service.context import DatasetRef
from oneself.service.rules.admitted_later import AdmittedLater
from oneself.services import Services
from oneself.store.tables.log import BEGINNING
from oneself.store.tombstones import Tombstones
from support.nested_views import assert_views_nested
from support.reconciled_view import assert_reconciled, assert_verified
from support.story_words import ATTRIBUTES, IDENTITIES
from support.view_histories import APPLICATION, PlayedHistory
from unit.core.identity_graph.steps import Create, Page, Server, Settings, SignIn, Step, Verify

pytestmark = pytest.mark.postgres
DATASETS = count(185_000)
TYPE_ID, PHONE = IDENTITIES["phone"][0], "1"
RECORD, SIGN_IN = Server(ids={"phone": PHONE}, values={"plan": "gold"}), SignIn(user="ann", tracker="t1")
#: What happens before a value is blocked, while it is, and afterwards.
HISTORIES: dict[str, tuple[Sequence[Step], Sequence[Step], Sequence[Step]]] = {
    "servers name nothing else": ((RECORD,), (RECORD, RECORD), (RECORD,)),
    "a server names an address beside it": (
        (Server(ids={"mail": "b@"}),),
        (Server(ids={"mail": "b@", "phone": PHONE}, values={"plan": "gold"}),),
        (Server(ids={"mail": "b@"}, values={"plan": "trial"}), RECORD),
    ),
    "a user verified the address": (
        (Verify(user="ann", namespace="mail", value="a@"),),
        (Server(ids={"mail": "a@"}, values={"plan": "gold"}), SIGN_IN),
        (),
    ),
    "a user verifies the address meanwhile": (
        (),
        (Server(ids={"mail": "a@"}), Verify(user="ann", namespace="mail", value="a@")),
        (),
    ),
    "two people share a browser": (
        (),
        (Page(tracker="t1", ids={"mail": "b@"}), Page(tracker="t1", ids={"phone": PHONE}), SIGN_IN),
        (RECORD,),
    ),
    "a page without a browser": ((), (Page(ids={"phone": PHONE}), Page(ids={"phone": PHONE})), (RECORD,)),
    "a server says it of a browser": ((SIGN_IN,), (Server(tracker="t1", ids={"phone": PHONE}),), (RECORD,)),
    "another value replaces it": (
        (Create(name="x", ids={"phone": "2"}),),
        (Server(ids={"mail": "b@", "phone": PHONE}),),
        (Server(ids={"mail": "b@", "phone": "2"}),),
    ),
}


def _config_blocked(*values: str) -> Any:
    return lambda config: PutBlocked(BlockList(frozenset(values)))


def _trusting(config: Config, *, only_servers: bool) -> PutIdentityType:
    return PutIdentityType(msgspec.structs.replace(config.types[TYPE_ID], trusted_only=only_servers))


BLOCKED, FREE = _config_blocked(PHONE, "a@acme.example"), _config_blocked()


async def _begin(services: Services, *steps: Step) -> PlayedHistory:
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    return await played.play(enumerate(steps))


async def _blocked(services: Services, *steps: Step) -> PlayedHistory:
    """Events that name blocked values."""
    played = await _begin(services)
    await played.change(BLOCKED)
    return await played.play(enumerate(steps))


async def _finish(services: Services, played: PlayedHistory) -> None:
    await services.log.reconciler.reconcile_all()
    await assert_verified(services.database)
    await assert_reconciled(services.database)
    await assert_views_nested(services.database, played.dataset_id)


async def _believed_values(services: Services, played: PlayedHistory) -> list[Any]:
    found = await services.database.fetch(
        "SELECT record_values FROM profile WHERE dataset_id = $1 AND survivor_id IS NULL", played.dataset_id
    )
    return sorted((row["record_values"] for row in found), key=str)


async def _admitted(services: Services, played: PlayedHistory) -> int:
    counted = "SELECT count(*) FROM log WHERE dataset_id = $1 AND admitted_by IS NOT NULL"
    return int(await services.database.fetchval(counted, played.dataset_id))


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_value_that_is_unblocked_leaves_no_trace_of_that(services: Services, name: str) -> None:
    """In `all` as well, but for the order in which values came together."""
    first, meanwhile, then = HISTORIES[name]
    found = []
    for is_blocked in (False, True):
        played = await _begin(services, *first)
        if is_blocked:
            await played.change(BLOCKED)
        await played.play(enumerate(meanwhile, 100))
        if is_blocked:
            await played.change(FREE)
        await played.play(enumerate(then, 200))
        await _finish(services, played)
        found.append((await played.told(), await _believed_values(services, played)))
    assert found[0] == found[1]


async def test_what_pages_name_of_a_type_that_trusted_servers_alone(services: Services) -> None:
    """A browser that two people share is divided by what each of them named."""
    found = []
    for only_servers in (False, True):
        played = await _begin(services)
        if only_servers:
            await played.change(lambda config: _trusting(config, only_servers=True))
        pages = Page(tracker="t1", ids={"mail": "b@"}), Page(tracker="t1", ids={"phone": PHONE})
        await played.play(enumerate((*pages, RECORD)))
        if only_servers:
            assert len(await played.fragments()) == 2
            await played.change(lambda config: _trusting(config, only_servers=False))
        assert len(await played.fragments()) == 3
        await _finish(services, played)
        found.append((await played.told(), await _believed_values(services, played)))
    assert found[0] == found[1]


async def _read_pages(played: PlayedHistory, reader: AdmittedLater, pages: int) -> int:
    """Read pages from the beginning, as a new worker does; returns how many there were."""
    after = BEGINNING
    for number in range(pages):
        page = await reader.read_page(played.dataset_id, after, TYPE_ID)
        if page is None:
            return number
        after = page.last
    return pages


async def _unblocked(services: Services, *steps: Step) -> PlayedHistory:
    """The same, with a job that nobody has begun."""
    played = await _blocked(services, *steps)
    await services.configurations.change(played.dataset_id, FREE)
    return played


async def test_a_worker_goes_on_where_another_stopped(services: Services) -> None:
    steps = (RECORD, Server(ids={"mail": "b@", "phone": PHONE}), RECORD)
    whole, part = await _blocked(services, *steps), await _unblocked(services, *steps)
    await whole.change(FREE)
    single = AdmittedLater(services.database, Tombstones(""), entries_per_page=1)
    assert await _read_pages(part, single, 1) == 1
    assert await _admitted(services, part) > 0
    await asyncio.gather(*(_read_pages(part, single, 10) for _ in range(2)))
    await part.change(FREE)
    for played in (whole, part):
        await _finish(services, played)
        assert await _admitted(services, played) == 3
    assert await whole.told() == await part.told()


async def test_what_is_tied_to_too_much_stays_as_it_is(services: Services) -> None:
    """One entry is tried; the others that name the same value are passed over together."""
    naming, tied = Server(ids={"mail": "b@", "phone": PHONE}), Server(ids={"mail": "b@", "number": "n1"})
    played = await _unblocked(services, naming, tied, naming, naming)
    before = await played.told()
    small = AdmittedLater(services.database, Tombstones(""), fragments_max=1)
    assert await _read_pages(played, small, 10) == 2
    assert (await played.told(), await _admitted(services, played)) == (before, 0)
    await assert_verified(services.database)


async def _ids_of(services: Services, played: PlayedHistory) -> list[UUID]:
    """The profiles that events began, in order."""
    found = await services.database.fetch(
        "SELECT profile_id FROM log WHERE dataset_id = $1 AND kind = 'event' ORDER BY seq", played.dataset_id
    )
    return [row["profile_id"] for row in found]


def _ref(played: PlayedHistory) -> DatasetRef:
    return DatasetRef(played.dataset_id, "history", played.dataset_id)


async def test_a_write_by_the_id_of_an_event_that_belongs_elsewhere_now(services: Services) -> None:
    """Two events of a server got a record each; an application wrote to the second one by its id."""
    played = await _blocked(services, Server(ids={"phone": PHONE}), Server(ids={"phone": PHONE}))
    first, second = await _ids_of(services, played)
    played._created["second"] = second
    await played.play([(2, Server(profile="second", values={"plan": "gold"}))])
    await played.change(FREE)
    await _finish(services, played)
    scope, key = ATTRIBUTES["phone"].split(".")
    for profile_id in (first, second):
        for view in ("proven", "all"):
            found = await services.profiles.profiles.find_in(_ref(played), profile_id, view)  # type: ignore[arg-type]
            assert found is not None
            assert found.survivor.record.values == {"traits": {"plan": "gold"}, scope: {key: PHONE}}
    assert len(await played.fragments()) == 1


async def test_what_people_decided_stays(services: Services) -> None:
    """They merged two records of which only one would begin."""
    played = await _blocked(services, Server(ids={"phone": PHONE}), Server(ids={"phone": PHONE}))
    first, second = await _ids_of(services, played)
    await services.decisions.merge(_ref(played), APPLICATION, str(first), str(second), Why("proven"))
    before = await played.told()
    await played.change(FREE)
    await _finish(services, played)
    assert (await played.told(), await _admitted(services, played)) == (before, 0)


async def test_an_erasure_takes_what_was_read_again(services: Services) -> None:
    played = await _begin(services, Verify(user="ann", namespace="mail", value="a@"))
    await played.change(BLOCKED)
    await played.play(
        [(1, Server(ids={"mail": "a@", "phone": PHONE}, values={"plan": "gold"})), (2, SIGN_IN)]
    )
    await played.change(FREE)
    await services.log.reconciler.reconcile_all()
    assert await _admitted(services, played) == 1
    await played.erase("ann")
    left = await services.database.fetchval(
        "SELECT count(*) FROM log WHERE dataset_id = $1 AND kind <> 'configure'"
        " AND (content::text ~ 'acme.example|gold' OR plan::text ~ 'acme.example')",
        played.dataset_id,
    )
    assert (left, await played.fragments()) == (0, [])
    await _finish(services, played)


async def test_an_event_of_before_an_erasure_does_not_come_back(services: Services) -> None:
    played = await _begin(services, Verify(user="ann", namespace="mail", value="a@"))
    await played.change(BLOCKED)
    await played.play([(1, Server(ids={"mail": "a@"}, values={"plan": "gold"}))])
    await played.erase("ann")
    await played.change(FREE)
    await _finish(services, played)
    assert await _admitted(services, played) == 0


async def test_a_profile_as_it_was_names_what_it_was_known_to_name(services: Services) -> None:
    played = await _blocked(services, Server(ids={"mail": "b@", "phone": PHONE}))
    (profile_id,), at = await _ids_of(services, played), await played.last_seq()
    await played.change(FREE)
    scope, key = ATTRIBUTES["phone"].split(".")
    now = await services.profiles.profiles.find_in(_ref(played), profile_id, "proven")
    assert now is not None
    assert now.survivor.record.values[scope].get(key) == PHONE
    async with AsOf(services.database).read(_ref(played), [str(profile_id)], "proven", at) as earlier:
        (then,) = earlier.profiles
        assert then.view.survivor.record.values[scope].get(key) is None
