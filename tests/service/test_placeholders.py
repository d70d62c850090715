"""Placeholders that identified somebody before one list applied to all (docs/concepts/resolution.md)."""

from __future__ import annotations

from msgspec.structs import replace

from oneself.core.config.changes import PutDatasetSettings
from oneself.core.identity.dataset_settings import NEW_DATASET
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, customer, mail
from support.verifying import assert_log_folds

X, Y, Z = "0123456789abcdef", "fedcba9876543210", "00000000000000aa"
GUEST = ("legacy.id", "guest")


async def _upgraded(harness: InteractionsHarness) -> None:
    """What the migration records in the log of a dataset."""
    await harness.services.configurations.change(
        harness.dataset_ref.dataset_id,
        lambda config: PutDatasetSettings(replace(config.dataset, comparison=NEW_DATASET.comparison)),
    )


async def test_a_legacy_user_stays_and_takes_in_nobody_new(services: Services, database_url: str) -> None:
    harness = await InteractionsHarness(services).begin(resolves_identities=False)
    before = await harness.event(GUEST, device=X)
    assert before.survivor.primary_id == "guest"
    await _upgraded(harness)
    after = await harness.event(GUEST, device=Y)
    assert (after.survivor.primary_id, after.survivor.is_anonymous) == (Y, True)
    assert await harness.found("guest") == before.survivor.profile_id
    assert await harness.found(X) == before.survivor.profile_id
    named = await harness.event(("legacy.id", "42"), device=Z)
    assert named.survivor.primary_id == "42"
    await assert_log_folds(database_url)


async def test_a_merge_by_a_placeholder_stays(services: Services, database_url: str) -> None:
    harness = await InteractionsHarness(services).begin()
    one = await harness.event(customer("123456"), device=X)
    two = await harness.event(customer("123456"), mail("ann@acme.example"), device=Y)
    assert one.survivor.profile_id == two.survivor.profile_id
    await _upgraded(harness)
    three = await harness.event(customer("123456"), device=Z)
    assert three.survivor.is_anonymous
    assert await harness.found(Y) == one.survivor.profile_id
    again = await harness.event(mail("ann@acme.example"), device=Z)
    assert again.survivor.profile_id == one.survivor.profile_id
    await assert_log_folds(database_url)


async def test_a_value_with_invisible_characters_stays_and_matches_as_it_was(
    services: Services, database_url: str
) -> None:
    harness = await InteractionsHarness(services).begin()
    hidden = await harness.event(customer("ann\u200b"), device=X)
    await _upgraded(harness)
    seen = await harness.event(customer("a\u200bnn"), device=Y)
    assert seen.survivor.profile_id != hidden.survivor.profile_id
    assert (await harness.event(customer("ann"), device=Z)).survivor.profile_id == seen.survivor.profile_id
    assert await harness.found(X) == hidden.survivor.profile_id
    await assert_log_folds(database_url)
