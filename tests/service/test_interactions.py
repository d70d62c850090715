"""Events: the fast path for tokens, opt-outs, legacy datasets and enabling resolution."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Any

import pytest

from oneself.core.config.changes import BlockList, PutBlocked, PutDatasetSettings, PutIdentityType, PutRule
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import IdentityType
from oneself.core.resolution.observation import SenderTrust
from oneself.errors import Conflict, InvalidInput
from oneself.service.context import Actor, DatasetRef
from oneself.service.events.incoming import EventSource
from oneself.service.events.persisted_token import decrypt_token, encrypt_token
from oneself.service.events.result import EventResult
from oneself.service.identity.resolution_switch import plan_switch
from oneself.service.log.verify import verify
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.incoming import incoming_event
from support.statements import STATEMENTS, counted_statements

X, Y = "0123456789abcdef", "fedcba9876543210"
ANN = "ann@acme.example"
MINUTE_MS, DAY_MS = 60_000, 24 * 60 * 60_000
#: The warning for a choice that names a person but no browser.
UNBOUND = "consent_without_browser"
_names = count(1)


class DatasetHarness:
    """An organisation with a configured dataset `default` that receives raw events."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        self.services = services
        self.dataset_ref = dataset_ref

    async def send(
        self, user: dict[str, Any], *, trust: SenderTrust = "browser", **event: Any
    ) -> EventResult:
        config = await self.services.configurations.current(self.dataset_ref.dataset_id)
        incoming = incoming_event(config, user, **event)
        return await self.services.events.interactions.ingest(
            self.dataset_ref, EventSource(trust), incoming, config
        )

    async def configure(self, *changes: Any) -> None:
        for change in changes:
            await self.services.configurations.change(
                self.dataset_ref.dataset_id, lambda _, made=change: made
            )

    async def bind(self, *names: str) -> None:
        wanted = [Binding(name, name) for name in names]
        await self.services.identity.attributes.put(self.dataset_ref, wanted)

    async def sealed_at(self, token: str | None, at_ms: int) -> str:
        """The token with another sealing time."""
        assert token is not None
        ring = await self.services.events.token_keys.key_ring(self.dataset_ref)
        payload = decrypt_token(ring, self.dataset_ref.handle, self.dataset_ref.dataset, token)
        assert payload is not None
        return encrypt_token(
            ring,
            self.dataset_ref.handle,
            self.dataset_ref.dataset,
            payload.primary_id,
            payload.identities,
            at_ms,
        )

    async def id_of(self, text: str) -> str | None:
        view = await self.services.profiles.lookup.find(self.dataset_ref, text)
        return None if view is None else view.survivor.primary_id

    async def index(self) -> None:
        while await self.services.rules.reindexer.step():
            pass

    async def folds(self) -> bool:
        return (await verify(self.services.database, lambda done, total: None)).difference is None


async def new_dataset(services: Services, **settings: Any) -> DatasetHarness:
    created = await services.setup.provisioning.create(f"shop-{next(_names)}")
    dataset = DatasetHarness(services, created.dataset_ref)
    await dataset.configure(
        PutIdentityType(IdentityType("webId", "Web ID", case_sensitive=True)),
        PutDatasetSettings(DatasetSettings(**settings)),
    )
    await dataset.bind("webId", "emailAddress", "customerId")
    await services.identity.attributes.put_channels(dataset.dataset_ref, {"Web": "webId"})
    return dataset


def consent(purpose: str, status: str) -> dict[str, str]:
    return {"purpose": purpose, "provider": "cmp", "status": status}


async def stored_choices(dataset: DatasetHarness, called: str) -> int:
    view = await dataset.services.profiles.lookup.find(dataset.dataset_ref, called)
    return 0 if view is None else len(view.survivor.consents)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def dataset(services: Services) -> DatasetHarness:
    return await new_dataset(services)


@pytest.fixture
async def legacy_dataset(services: Services) -> DatasetHarness:
    return await new_dataset(services, resolves_identities=False)


async def count_statements(
    dataset: DatasetHarness, monkeypatch: pytest.MonkeyPatch, user: dict[str, Any]
) -> int:
    """The number of statements that an event costs."""
    with counted_statements(monkeypatch) as counts:
        await dataset.send(user)
    return counts[STATEMENTS]


async def test_a_token_that_covers_the_event_costs_no_statement(
    dataset: DatasetHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user holds beside what the event names is not looked up."""
    user = {"anonymousId": X, "id": "abc123"}
    identified = await dataset.send({**user, "attributes": {"emailAddress": ANN}})
    plain = await count_statements(dataset, monkeypatch, user)
    covered = await count_statements(dataset, monkeypatch, {**user, "encryptedId": identified.token})
    token_only = await count_statements(
        dataset, monkeypatch, {"anonymousId": X, "encryptedId": identified.token}
    )
    new = {**user, "encryptedId": identified.token, "attributes": {"emailAddress": f"new-{ANN}"}}
    assert token_only <= covered <= plain
    assert await count_statements(dataset, monkeypatch, new) > plain
    assert await dataset.folds()


async def test_a_token_of_an_absorbed_user_resolves_to_the_survivor(dataset: DatasetHarness) -> None:
    first = await dataset.send({"anonymousId": X, "id": "abc123"})
    second = await dataset.send({"anonymousId": Y, "attributes": {"emailAddress": ANN}})
    await dataset.send({"id": "abc123", "attributes": {"emailAddress": ANN}})
    after = await dataset.send({"anonymousId": X, "encryptedId": first.token})
    assert after.resolved_id == second.resolved_id
    assert after.token not in (None, first.token)
    assert await dataset.folds()


async def test_an_old_token_stays_valid_after_its_browser_moved(
    dataset: DatasetHarness,
) -> None:
    first = await dataset.send({"anonymousId": X, "id": "abc123"})
    await dataset.send({"anonymousId": X, "id": "other"})
    back = await dataset.send({"anonymousId": X, "encryptedId": first.token})
    assert back.resolved_id == first.resolved_id
    assert (await dataset.send({"anonymousId": X})).resolved_id == first.resolved_id
    assert await dataset.folds()


async def test_an_identity_of_another_profile_overrides_the_token(dataset: DatasetHarness) -> None:
    """The token contains an e-mail address that another profile holds now."""
    first = await dataset.send({"anonymousId": X, "id": "abc123", "attributes": {"emailAddress": ANN}})
    await dataset.send({"id": "abc123", "attributes": {"emailAddress": "new@acme.example"}})
    new_holder = await dataset.send({"anonymousId": Y, "attributes": {"emailAddress": ANN}})
    assert new_holder.resolved_id != first.resolved_id
    both = await dataset.send(
        {"anonymousId": X, "encryptedId": first.token, "attributes": {"emailAddress": ANN}}
    )
    assert both.plan is not None
    assert len(both.plan.merges) == 1, "the web id of the token no longer matches the first profile"
    assert await dataset.folds()


async def test_a_rule_on_a_bound_attribute_matches_the_identity(dataset: DatasetHarness) -> None:
    await dataset.configure(
        PutRule(UnificationRule("r1", "by mail", "identity_attributes.emailAddress", 1, True))
    )
    await dataset.send({"anonymousId": X, "attributes": {"emailAddress": ANN}})
    again = await dataset.send({"anonymousId": Y, "attributes": {"emailAddress": ANN.upper()}})
    assert again.plan is not None
    assert not again.plan.creates
    assert await dataset.folds()


async def test_an_opted_out_visitor_is_unmatched_until_they_opt_in(
    dataset: DatasetHarness,
) -> None:
    known = await dataset.send({"anonymousId": X, "id": "abc123"})
    opt_out = [{"purpose": "Personalization", "provider": "cmp", "status": "Opt Out"}]
    opt_in = [{"purpose": "Personalization", "provider": "cmp", "status": "Opt In"}]
    opted_out = await dataset.send({"anonymousId": Y, "id": "abc123"}, consents=opt_out)
    assert opted_out.resolved_id == Y
    assert (await dataset.send({"anonymousId": Y, "id": "abc123"})).resolved_id == Y
    back = await dataset.send({"anonymousId": Y, "id": "abc123"}, consents=opt_in)
    assert back.resolved_id == known.resolved_id
    assert back.token is not None
    assert await dataset.folds()


async def test_only_the_consent_of_an_untracked_visitor_is_stored(dataset: DatasetHarness) -> None:
    opt_out = [{"purpose": "Tracking", "provider": "cmp", "status": "Opt Out"}]
    opt_in = [{"purpose": "Tracking", "provider": "cmp", "status": "Opt In"}]
    await dataset.send({"anonymousId": X})
    opted_out = await dataset.send({"anonymousId": X}, consents=opt_out, interaction={"name": "Secret"})
    untracked = await dataset.send({"anonymousId": X}, interaction={"name": "Secret"})
    opted_in = await dataset.send({"anonymousId": X}, consents=opt_in, interaction={"name": "Public"})
    assert (opted_out.resolved_id, untracked.resolved_id, opted_in.resolved_id) == (None, None, X)
    found = await dataset.services.database.fetch("SELECT name FROM log WHERE kind = 'event' ORDER BY seq")
    assert [row["name"] for row in found] == [None, "Public"]
    assert await dataset.folds()


async def test_a_visitor_who_opted_out_is_not_merged(dataset: DatasetHarness) -> None:
    one = await dataset.send({"id": "abc123"})
    other = await dataset.send({"attributes": {"emailAddress": ANN}})
    opt_out = [{"purpose": "Tracking", "provider": "cmp", "status": "Opt Out"}]
    await dataset.send({"id": "abc123", "attributes": {"emailAddress": ANN}}, consents=opt_out)
    assert await dataset.id_of(one.resolved_id or "") == one.resolved_id
    assert await dataset.id_of(other.resolved_id or "") == other.resolved_id
    assert await dataset.folds()


@pytest.mark.parametrize("said", [("Personalization", "Opt In"), ("Marketing", "Opt Out")], ids=str)
async def test_a_choice_that_names_a_person_but_no_browser_is_not_stored(
    dataset: DatasetHarness, said: tuple[str, str]
) -> None:
    result = await dataset.send({"identities": {"emailAddress": ANN}}, consents=[consent(*said)])
    assert UNBOUND in result.warnings
    assert result.resolved_id is not None
    assert await stored_choices(dataset, f"emailAddress:{ANN}") == 0


async def test_a_tracking_opt_out_without_a_browser_holds_for_its_event_alone(
    dataset: DatasetHarness,
) -> None:
    await dataset.send({"anonymousId": X, "identities": {"emailAddress": ANN}})
    opt_out = [consent("Tracking", "Opt Out")]
    result = await dataset.send({"identities": {"emailAddress": ANN}}, consents=opt_out)
    assert result.resolved_id is None
    assert {"opted_out", UNBOUND} <= set(result.warnings)
    assert await stored_choices(dataset, f"emailAddress:{ANN}") == 0
    assert (await dataset.send({"identities": {"emailAddress": ANN}})).resolved_id is not None


async def test_a_visit_is_no_browser(dataset: DatasetHarness) -> None:
    """Whoever names the person gets such a token."""
    known = await dataset.send({"anonymousId": X, "identities": {"emailAddress": ANN}})
    user = {"encryptedId": known.token, "identities": {"emailAddress": "new@acme.example"}}
    result = await dataset.send(user, consents=[consent("Personalization", "Opt Out")])
    assert UNBOUND in result.warnings
    assert result.resolved_id == known.resolved_id
    assert await stored_choices(dataset, f"emailAddress:{ANN}") == 0
    assert await stored_choices(dataset, "emailAddress:new@acme.example") == 0


async def test_the_opt_out_of_a_browser_without_an_id_binds_the_id_that_it_gets(
    dataset: DatasetHarness,
) -> None:
    opt_out = [consent("Personalization", "Opt Out")]
    result = await dataset.send({"identities": {"emailAddress": ANN}}, consents=opt_out)
    assert UNBOUND not in result.warnings
    assert result.anonymous_id is not None
    again = await dataset.send({"anonymousId": result.anonymous_id, "identities": {"emailAddress": ANN}})
    assert again.resolved_id == result.anonymous_id


@pytest.mark.parametrize("purpose", ["Personalization", "Tracking"])
async def test_a_server_opts_out_the_person_and_not_only_the_browser(
    dataset: DatasetHarness, purpose: str
) -> None:
    ann = {"identities": {"emailAddress": ANN}}
    known = await dataset.send(ann | {"anonymousId": X})
    opt_out = [consent(purpose, "Opt Out")]
    await dataset.send(ann | {"anonymousId": Y}, trust="server", consents=opt_out)
    assert await stored_choices(dataset, f"emailAddress:{ANN}") == 1
    assert (await dataset.send(ann)).resolved_id != known.resolved_id


async def test_the_choice_of_a_browser_has_no_warning(dataset: DatasetHarness) -> None:
    opt_in = [consent("Personalization", "Opt In")]
    user = {"identities": {"emailAddress": ANN}}
    for browser in ({"anonymousId": X}, {"anonymousId": "not valid"}):
        result = await dataset.send(user | browser, consents=opt_in)
        assert UNBOUND not in result.warnings
    assert await stored_choices(dataset, f"emailAddress:{ANN}") == 2
    assert UNBOUND not in (await dataset.send(user)).warnings


@pytest.mark.parametrize("purpose", [None, "Personalization", "Tracking"])
async def test_the_token_of_an_erased_user_names_no_other_user(
    dataset: DatasetHarness, purpose: str | None
) -> None:
    ann = await dataset.send({"anonymousId": X, "id": "abc123"})
    bob = {"anonymousId": Y, "id": "def456"}
    tracker = (await dataset.send({**bob, "anonymousProfileTracker": ""})).tracker
    opt_out = [{"purpose": purpose, "provider": "cmp", "status": "Opt Out"}] if purpose else []
    view = await dataset.services.profiles.lookup.find(dataset.dataset_ref, ann.resolved_id or "")
    assert view is not None
    assert await dataset.services.privacy.erasure.erase(
        dataset.dataset_ref, Actor("test", "shop"), ErasureTarget(profile_id=view.survivor.profile_id)
    )
    await dataset.send(
        {**bob, "encryptedId": ann.token, "anonymousProfileTracker": tracker}, consents=opt_out
    )
    select = "SELECT content::text FROM log WHERE kind IN ('event', 'consent')"
    contents = [row["content"] for row in await dataset.services.database.fetch(select)]
    assert len(contents) > 1
    assert not any("abc123" in content or "remembered" in content for content in contents)
    assert await dataset.folds()


async def test_a_blocked_value_is_released_in_any_batch(
    dataset: DatasetHarness,
) -> None:
    await dataset.send({"id": "abc123", "attributes": {"emailAddress": ANN}})
    await dataset.configure(PutBlocked(BlockList(frozenset({ANN.casefold()}), ())))
    await dataset.send({"id": "abc123", "attributes": {"customerId": "c1"}})
    # Later entries with other addresses, and one that the fast path wrote, are folded in the same batch.
    bob = {"anonymousId": Y, "id": "def456", "attributes": {"emailAddress": "bob@acme.example"}}
    tracker = (await dataset.send({**bob, "anonymousProfileTracker": ""})).tracker
    await dataset.send({**bob, "anonymousProfileTracker": tracker})
    assert await dataset.folds()


async def test_an_old_opt_in_does_not_end_a_newer_opt_out(dataset: DatasetHarness) -> None:
    choice = {"purpose": "Tracking", "provider": "cmp"}
    await dataset.send({"anonymousId": X})
    await dataset.send({"anonymousId": X}, consents=[{**choice, "status": "Opt Out"}])
    old = [{**choice, "status": "Opt In"}]
    late = await dataset.send({"anonymousId": X}, consents=old, source={"time": 1_700_000_000_000})
    assert late.resolved_id is None
    assert await dataset.folds()


async def test_a_token_lives_as_long_as_its_visit(services: Services) -> None:
    """Two visits began three minutes ago; later events extended one, the other ended."""
    dataset = await new_dataset(services, visit_timeout_ms=MINUTE_MS)
    began = now_ms() - 3 * MINUTE_MS
    open_visit = await dataset.send({"anonymousId": X, "id": "open"}, source={"time": began})
    ended_visit = await dataset.send({"anonymousId": Y, "id": "ended"}, source={"time": began})
    for second in (50, 100, 150):
        await dataset.send({"anonymousId": X, "id": "open"}, source={"time": began + second * 1000})
    token = await dataset.sealed_at(open_visit.token, began)
    extended = await dataset.send({"anonymousId": "1111111111111111", "encryptedId": token})
    assert (extended.resolved_id, extended.token) == (open_visit.resolved_id, token)
    token = await dataset.sealed_at(ended_visit.token, began)
    expired = await dataset.send({"anonymousId": "2222222222222222", "encryptedId": token})
    assert (expired.resolved_id, expired.token) == ("2222222222222222", None)
    assert not expired.token_unreadable


async def test_a_remembered_user_outlives_the_visit(services: Services) -> None:
    dataset = await new_dataset(
        services,
        visit_timeout_ms=MINUTE_MS,
        tokens_outlive_visits=True,
        token_lifetime_ms=DAY_MS,
    )
    began = now_ms() - 3 * MINUTE_MS
    ann = await dataset.send({"anonymousId": X, "id": "ann"}, source={"time": began})
    token = await dataset.sealed_at(ann.token, began)
    back = await dataset.send({"anonymousId": "1111111111111111", "encryptedId": token})
    assert back.resolved_id == ann.resolved_id
    assert back.token not in (None, token), "the new visit has no new token"
    token = await dataset.sealed_at(ann.token, now_ms() - DAY_MS - MINUTE_MS)
    late = await dataset.send({"anonymousId": "2222222222222222", "encryptedId": token})
    assert (late.resolved_id, late.token) == ("2222222222222222", None), "the token outlived its lifetime"


async def test_a_guard_applies_to_identities_of_the_token(dataset: DatasetHarness) -> None:
    guarded = IdentityType("customerId", "Customer ID", built_in=True, conflict_blocks_merge=True)
    await dataset.configure(PutIdentityType(guarded))
    await dataset.send({"identities": {"customerId": "c2", "emailAddress": ANN}})
    first = await dataset.send({"anonymousId": X, "identities": {"customerId": "c1"}})
    both = {"anonymousId": X, "encryptedId": first.token, "identities": {"emailAddress": ANN}}
    later = await dataset.send(both)
    assert later.resolved_id == first.resolved_id
    assert later.identities == {"customerId": "c1"}
    assert await dataset.folds()


async def test_profiles_merged_by_events_of_one_batch_merge_completely(dataset: DatasetHarness) -> None:
    """The second event matches one profile only through the first event. The losing value is released."""
    one = await dataset.send({"identities": {"customerId": "c1", "webId": "w1"}})
    await dataset.send({"identities": {"customerId": "c9", "emailAddress": "b@acme.example"}})
    new = "new@acme.example"
    first_event = dataset.send({"identities": {"webId": "w1", "emailAddress": new}})
    second_event = dataset.send({"identities": {"emailAddress": new, "customerId": "c9"}})
    await asyncio.gather(first_event, second_event)
    claims = await dataset.services.database.fetch(
        "SELECT value FROM claim WHERE namespace = 'customerId' AND until_seq IS NULL"
    )
    assert [row["value"] for row in claims] == ["c9"]
    assert await dataset.id_of(one.resolved_id or "") is not None
    assert await dataset.folds()


async def test_in_a_legacy_dataset_the_user_id_is_the_primary_id(legacy_dataset: DatasetHarness) -> None:
    anonymous = await legacy_dataset.send({"anonymousId": X})
    named = await legacy_dataset.send(
        {"anonymousId": X, "id": " Ann 1 ", "attributes": {"emailAddress": ANN}}
    )
    assert (anonymous.resolved_id, named.resolved_id) == (X, "Ann 1")
    assert await legacy_dataset.id_of(X) == "Ann 1"
    assert named.token is not None
    later = await legacy_dataset.send({"anonymousId": X, "encryptedId": named.token})
    assert (later.resolved_id, later.token) == ("Ann 1", None)
    again = await legacy_dataset.send({"anonymousId": X, "encryptedId": named.token, "id": "Ann 1"})
    assert (again.resolved_id, again.token) == ("Ann 1", None)
    other = await legacy_dataset.send({"anonymousId": X, "encryptedId": named.token, "id": "ann 1"})
    assert other.resolved_id == "ann 1"
    assert other.token is not None
    shared = await legacy_dataset.send({"anonymousId": Y, "id": "bob", "attributes": {"emailAddress": ANN}})
    assert shared.resolved_id == "bob", "named users were merged"
    assert await legacy_dataset.folds()


async def test_enabling_resolution_merges_users_of_a_legacy_dataset(legacy_dataset: DatasetHarness) -> None:
    ann = await legacy_dataset.send({"anonymousId": X, "id": "ann", "attributes": {"emailAddress": ANN}})
    await legacy_dataset.send({"anonymousId": Y, "id": "annette", "attributes": {"emailAddress": ANN}})
    await legacy_dataset.send({"id": "bob"})
    switch = legacy_dataset.services.identity.resolution_switch
    preview = await switch.preview(legacy_dataset.dataset_ref, "webId")
    assert (preview.profiles_absorbed, preview.groups) == (1, 1)
    previews = legacy_dataset.services.rules.change_previews
    everywhere = await previews.preview(legacy_dataset.dataset_ref, [plan_switch("webId")])
    (merge,) = everywhere.views["all"].merges
    assert [join.identifier for join in merge.joins] == [Identifier("emailAddress", ANN)]
    assert await legacy_dataset.id_of("ann") == "ann", "the preview changed a profile"
    await switch.enable(legacy_dataset.dataset_ref, "webId")
    between = await legacy_dataset.send({"anonymousId": "2222222222222222", "id": "bob"})
    await legacy_dataset.index()
    ids = [await legacy_dataset.id_of(text) for text in ("ann", "annette", "bob", X, Y)]
    assert ids[0] == ids[1] == ids[3] == ids[4]
    assert all(primary_id is not None and len(primary_id) == 24 for primary_id in ids)
    assert (
        (await legacy_dataset.send({"id": "bob"})).resolved_id
        == ids[2]
        == await legacy_dataset.id_of(between.resolved_id or "")
    )
    assert (await legacy_dataset.send({"attributes": {"emailAddress": ANN}})).resolved_id == ids[0]
    late = await legacy_dataset.send({"anonymousId": "1111111111111111", "encryptedId": ann.token})
    assert late.token is None, "a token from before is still valid"
    with pytest.raises(Conflict):
        await switch.enable(legacy_dataset.dataset_ref, "webId")
    assert await legacy_dataset.folds()


async def test_a_preview_needs_an_existing_target(legacy_dataset: DatasetHarness) -> None:
    with pytest.raises(InvalidInput, match="nothing"):
        await legacy_dataset.services.identity.resolution_switch.preview(
            legacy_dataset.dataset_ref, "nothing"
        )


async def test_resolution_cannot_be_enabled_with_a_trusted_only_type(
    legacy_dataset: DatasetHarness,
) -> None:
    await legacy_dataset.send({"anonymousId": X, "id": "ann"})
    await legacy_dataset.configure(
        PutIdentityType(IdentityType("webId", "Web ID", case_sensitive=True, trusted_only=True))
    )
    switch = legacy_dataset.services.identity.resolution_switch
    with pytest.raises(Conflict, match="trusted_only"):
        await switch.preview(legacy_dataset.dataset_ref, "webId")
    with pytest.raises(Conflict, match="trusted_only"):
        await switch.enable(legacy_dataset.dataset_ref, "webId")
    await switch.enable(legacy_dataset.dataset_ref, "customerId")
    assert await legacy_dataset.folds()
