"""`trusted_only` that is taken back joins and parts the same profiles as if it had never been set.

Source: docs/concepts/trust.md, "Joins".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import msgspec
import pytest

from oneself.core.config.changes import PutIdentityType
from oneself.services import Services
from oneself.store.transaction import Tables
from support.reconciled_view import assert_verified, find_people
from support.stored_views import list_fragments
from support.story_words import IDENTITIES
from support.view_histories import PlayedHistory
from unit.core.identity_graph.steps import Create, Page, Server, Settings, SignIn, Step

pytestmark = pytest.mark.postgres
DATASETS = count(180_000)

PAGE = Page(tracker="t1", ids={"phone": "1"})
RECORD = Server(ids={"phone": "1"})
#: What happens before the setting, and while it is on.
HISTORIES: dict[str, tuple[Sequence[Step], Sequence[Step]]] = {
    "a page names the number of a person who signs in": ((PAGE,), (SignIn(user="ann", tracker="t1"), RECORD)),
    "a page names the number of whom a server knows": (
        (Server(ids={"card": "c1"}), Page(tracker="t1", ids={"card": "c1", "phone": "1"})),
        (RECORD,),
    ),
    "a server says another number of the browser": (
        (PAGE,),
        (RECORD, Server(tracker="t1", ids={"phone": "2"})),
    ),
    "a server replaces the number": (
        (PAGE,),
        (
            RECORD,
            Create(name="x", tracker="t1", ids={"card": "c1"}),
            Server(profile="x", ids={"phone": "2"}),
        ),
    ),
}


async def _trust(services: Services, played: PlayedHistory, *, only_servers: bool) -> None:
    """Let the type of phones trust servers alone, or everybody, and do what follows."""
    type_id = IDENTITIES["phone"][0]
    await played.change(
        lambda config: PutIdentityType(
            msgspec.structs.replace(config.types[type_id], trusted_only=only_servers)
        )
    )
    await services.log.reconciler.reconcile_all()


async def _people(services: Services, played: PlayedHistory) -> list[list[tuple[int, str]]]:
    """The profiles of the view `all`: their fragments by the step that began each. They follow the graph."""
    tables = Tables(services.database, played.dataset_id)
    names = {
        row.fragment.fragment_id: (played.step_of(row.fragment.began_at), row.fragment.origin)
        for row in await list_fragments(tables)
    }
    expected, believed = await find_people(tables)
    assert believed == expected
    return sorted(sorted(names[item] for item in group) for group in believed)


@pytest.mark.parametrize("name", HISTORIES)
async def test_trust_that_is_taken_back_leaves_no_trace(services: Services, name: str) -> None:
    first, meanwhile = HISTORIES[name]
    found = []
    for is_set in (False, True):
        played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
        await played.play(enumerate(first))
        if is_set:
            await _trust(services, played, only_servers=True)
        await played.play(enumerate(meanwhile, 100))
        await services.log.reconciler.reconcile_all()
        if is_set:
            await _trust(services, played, only_servers=False)
        found.append(await _people(services, played))
    assert found[0] == found[1]
    await assert_verified(services.database)


async def test_reading_values_again_parts_nobody(services: Services) -> None:
    """A page stored another number than the server then said of its browser."""
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    await played.play(enumerate((PAGE, Server(tracker="t1", ids={"phone": "2"}), Server(ids={"phone": "2"}))))
    before = {row.fragment.fragment_id: row.proven_id for row in await played.fragments()}
    assert len(set(before.values())) < len(before)
    for only_servers in (True, False):
        await _trust(services, played, only_servers=only_servers)
        after = {row.fragment.fragment_id: row.proven_id for row in await played.fragments()}
        assert after == before
    await assert_verified(services.database)
