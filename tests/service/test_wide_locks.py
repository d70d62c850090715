"""Decisions about profiles of very many parts lock their names together, and let everyone else write.

Source: docs/decisions/0063-decisions-about-a-hundred-thousand-parts.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from oneself.core.config.changes import PutDatasetSettings
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import View
from oneself.errors import Contended
from oneself.service.by_hand.asked import Decided, SplitBrowser, Why
from oneself.service.by_hand.decisions import Decisions
from oneself.service.context import Actor
from oneself.service.log.reconciler import Reconciler
from oneself.service.log.verify import verify
from oneself.services import Services
from oneself.store.transaction import RELIED_ON_S, Tables, begin, hashes_of
from oneself.store.wide_lock import CLOCKS_DIFFER_S, WideLock, wait_until_released
from support.interactions_harness import InteractionsHarness, mail
from support.reconciled_view import assert_reconciled
from support.waiting import until_async

pytestmark = pytest.mark.postgres
INFO = mail("info@acme.example")
SERVER = {"trust": "server"}


class PausedDecision:
    """A decision of so few names, locked together, that stops before it computes profiles."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self._services = services
        self._locked, self._resumed = asyncio.Event(), asyncio.Event()
        self._decided: asyncio.Task[Decided | None] | None = None
        follow = Reconciler.follow

        async def paused(*asked: Any) -> None:
            self._locked.set()
            await self._resumed.wait()
            await follow(*asked)

        monkeypatch.setattr(Reconciler, "follow", paused)
        self._decisions = Decisions(
            services.database, services.profiles.lookup, services.directory.accounts, names_singly_max=1
        )

    async def split(self, site: InteractionsHarness, text: str, browser: str, view: View) -> None:
        """Begin the split of a browser, and return when everything is locked."""
        asked = SplitBrowser(browser)
        self._decided = asyncio.create_task(
            self._decisions.split(site.dataset_ref, Actor("cli"), text, asked, Why(view))
        )
        locked = asyncio.create_task(self._locked.wait())
        await asyncio.wait({locked, self._decided}, return_when=asyncio.FIRST_COMPLETED)
        assert not self._decided.done(), self._decided

    async def resume(self) -> Decided:
        self._resumed.set()
        assert self._decided is not None
        decided = await self._decided
        assert decided is not None
        return decided

    async def end(self) -> None:
        """Let the decision end, whatever comes of it."""
        self._resumed.set()
        if self._decided is not None:
            await asyncio.wait({self._decided})


@pytest.fixture
async def paused(services: Services, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PausedDecision]:
    decision = PausedDecision(services, monkeypatch)
    yield decision
    await decision.end()


@pytest.fixture
async def site(services: Services) -> InteractionsHarness:
    site = await InteractionsHarness(services).begin()
    for device in ("one", "two"):
        await site.event(device=device)
        await site.event(INFO, device=device, **SERVER)
    await services.log.reconciler.reconcile_all()
    return site


async def assert_sound(site: InteractionsHarness) -> None:
    report = await verify(site.services.database, lambda done, total: None)
    assert report.difference is None, report.difference
    await site.services.log.reconciler.reconcile_all()
    await assert_reconciled(site.services.database)


def names_of(site: InteractionsHarness, *devices: str) -> list[int]:
    found = [Identifier("anonymous_id", device) for device in devices]
    return hashes_of(site.dataset_ref.dataset_id, found)


@pytest.mark.parametrize("view", ["proven", "all"])
async def test_who_names_a_part_waits_and_everyone_else_writes(
    services: Services, site: InteractionsHarness, paused: PausedDecision, view: View
) -> None:
    await paused.split(site, "one", "two", view)
    named = [(), (INFO,), (INFO,)]
    own = [
        asyncio.create_task(site.event(*names, device=device, **SERVER))
        for names, device in zip(named, ("one", "two", "three"), strict=True)
    ]
    others = await asyncio.gather(*(site.event(device=f"other-{number}") for number in range(20)))
    assert len({item.plan.profile_id for item in others}) == len(others)
    late = await site.event(device="other-0", name="Late")
    assert late.plan.profile_id == others[0].plan.profile_id
    assert not any(item.done() for item in own)
    decided = await paused.resume()
    assert len(decided.profiles) == 2
    await asyncio.gather(*own)
    events = await services.database.fetchval(
        "SELECT count(*) FROM log WHERE dataset_id = $1 AND kind = 'event'", site.dataset_ref.dataset_id
    )
    assert events == 4 + len(own) + len(others) + 1
    assert await site.found("one") != await site.found("two")
    await assert_sound(site)


async def test_no_name_is_an_advisory_lock(
    services: Services, site: InteractionsHarness, paused: PausedDecision
) -> None:
    await paused.split(site, "one", "two", "proven")
    # Tests in other databases of the server have locks too.
    locks = await services.database.fetchval(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    )
    tables = Tables(services.database, site.dataset_ref.dataset_id)
    assert await tables.wide_locks.find_locked(names_of(site, "one", "other")) == {*names_of(site, "one")}
    # That nobody else decides, that the wide lock is in force, and that the configuration stays.
    assert locks <= 3
    await paused.resume()
    assert await tables.wide_locks.find_locked(names_of(site, "one")) is None


async def test_a_change_of_the_configuration_waits_without_stopping_others(
    services: Services, site: InteractionsHarness, paused: PausedDecision
) -> None:
    await paused.split(site, "one", "two", "proven")
    config = await services.configurations.current(site.dataset_ref.dataset_id)
    settings = PutDatasetSettings(config.dataset)
    change = asyncio.create_task(
        services.configurations.change(site.dataset_ref.dataset_id, lambda _: settings)
    )
    await site.event(device="other")
    assert not change.done()
    await paused.resume()
    await change
    await assert_sound(site)


async def test_an_erasure_of_a_part_waits(
    services: Services, site: InteractionsHarness, paused: PausedDecision
) -> None:
    profile_id = await site.found("two")
    assert profile_id is not None
    await paused.split(site, "one", "two", "proven")
    erased = asyncio.create_task(site.erase(profile_id))
    await site.event(device="other")
    assert not erased.done()
    await paused.resume()
    await erased
    await assert_sound(site)


async def test_a_profile_that_is_addressed_by_its_id_waits_too(
    services: Services, site: InteractionsHarness, paused: PausedDecision
) -> None:
    profile_id = await site.found("one")
    await paused.split(site, "one", "two", "all")
    addressed = asyncio.create_task(site.event(profile_id=profile_id, trust="server"))
    await site.event(device="other")
    assert not addressed.done()
    await paused.resume()
    await addressed
    await assert_sound(site)


async def test_the_lock_of_a_killed_process_holds_nobody_up(
    services: Services, site: InteractionsHarness
) -> None:
    dataset_id = site.dataset_ref.dataset_id
    tables = Tables(services.database, dataset_id)
    await tables.wide_locks.put(uuid4(), names_of(site, "one"))
    services.database.free_since_s.clear()
    await site.event(device="one")
    assert await tables.wide_locks.find_locked(names_of(site, "one")) is None


async def test_who_locked_a_name_before_is_waited_for(services: Services, site: InteractionsHarness) -> None:
    dataset_id = site.dataset_ref.dataset_id
    named = [Identifier("anonymous_id", f"{number}") for number in range(3)]
    async with begin(services.database, dataset_id) as writer:
        await writer.lock_identifiers(named[:1])
        async with WideLock(services.database, dataset_id, singly_max=1) as locked:

            async def lock() -> None:
                async with begin(services.database, dataset_id) as decision:
                    await locked.lock(decision, named, ())

            locking = asyncio.create_task(lock())
            tables = Tables(services.database, dataset_id)
            hashes = hashes_of(dataset_id, named)
            await until_async(lambda: tables.wide_locks.find_locked(hashes), "The names are not recorded.")
            done, _ = await asyncio.wait({locking}, timeout=RELIED_ON_S + CLOCKS_DIFFER_S + 0.5)
            assert not done
    await wait_until_released(services.database, dataset_id)


async def test_a_wide_lock_is_waited_for_so_long(
    services: Services, site: InteractionsHarness, paused: PausedDecision
) -> None:
    await paused.split(site, "one", "two", "proven")
    with pytest.raises(Contended):
        await wait_until_released(services.database, site.dataset_ref.dataset_id, 0.05)
    await paused.resume()
