"""Stored documents keep their field names, although the code uses other names."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.config.changes import PutDatasetSettings
from oneself.core.config.stored import ConfigDocument, from_document, to_document
from oneself.core.fold.log_entry import Erased, Reconfigured
from oneself.core.identity.dataset_settings import NEW_DATASET, DatasetSettings
from oneself.core.resolution.observation import ClaimsReport, Observation, SignIn
from oneself.core.values.record import ValueSource

SETTINGS = {
    "label": "Web",
    "pipeline_identity_resolution": False,
    "visit_timeout_millis": 60_000,
    "enable_remember_me_user_ids": True,
    "remember_me_user_ids_millis": 86_400_000,
    "resolves_since": 7,
}
STORED: list[tuple[type, dict[str, Any]]] = [
    (ConfigDocument, {"version": 2, "seq": 9, "dataset": SETTINGS, "read_since": {"traits.card": 5}}),
    (Reconfigured, {"face": "admin", "change": {"type": "put_dataset_settings", "settings": SETTINGS}}),
    (Erased, {"face": "cds", "profile_ids": [str(UUID(int=3))], "application": None, "console_user": "ada",
              "entries": 4, "identifiers": 1, "detached": [{"namespace": "tracker", "value": "t"}],
              "bridges": [{"one": str(UUID(int=4)), "other": str(UUID(int=5)), "since": 8}]}),
    (ValueSource, {"seq": 1, "observation_id": "o", "at": 2, "face": "cds"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "stored"), STORED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_stored_document_is_read_and_written_under_the_same_names(
    kind: type, stored: dict[str, Any]
) -> None:
    assert msgspec.json.decode(msgspec.json.encode(msgspec.convert(stored, kind))) == stored


def test_stored_settings_keep_their_meaning() -> None:
    change = msgspec.convert(STORED[1][1], Reconfigured).change
    assert isinstance(change, PutDatasetSettings)
    settings = change.settings
    assert (settings.resolves_identities, settings.tokens_outlive_visits) == (False, True)
    assert (settings.visit_timeout_us, settings.token_lifetime_us) == (60_000_000, 86_400_000_000)


def test_stored_settings_of_earlier_versions_mean_what_they_meant() -> None:
    settings = msgspec.convert({"label": "Web"}, DatasetSettings)
    assert (settings.channel_identity_conflict, settings.comparison) == ("replace", 1)
    assert (settings.default_view, settings.identity_trust) == ("proven", "timestamp")


def test_a_stored_erasure_of_an_earlier_version_leaves_no_bridges() -> None:
    erased = msgspec.convert({"face": "cds", "profile_ids": [str(UUID(int=3))]}, Erased)
    assert (erased.detached, erased.bridges) == ((), ())


def test_the_settings_of_a_new_dataset_are_stored() -> None:
    stored = msgspec.to_builtins(NEW_DATASET)
    assert stored == {
        "identity_trust": "tiered",
        "channel_identity_conflict": "keep_apart",
        "default_view": "all",
        "asserted_merges": "all",
        "comparison": 2,
    }
    assert msgspec.convert(stored, DatasetSettings) == NEW_DATASET


def test_a_stored_configuration_decodes_to_itself() -> None:
    config = from_document(msgspec.convert(STORED[0][1], ConfigDocument))
    assert config.indexed_since == {"traits.card": 5}
    assert from_document(to_document(config)) == config


REPORT = {
    "kind": "claims",
    "observation_id": str(UUID(int=1)),
    "new_profile_id": str(UUID(int=2)),
    "face": "sync",
    "values": {"identity_attributes": {"emailaddress": "ann@acme.example"}},
}


@pytest.mark.parametrize("kind", ["claims", "sign_in"])
@pytest.mark.parametrize("verified", [{}, {"verified": ["emailaddress"]}])
def test_a_report_without_verified_claims_is_stored_as_before(kind: str, verified: dict[str, Any]) -> None:
    stored = {**REPORT, **verified, "kind": kind}
    observation = msgspec.convert(stored, Observation)
    assert isinstance(observation, ClaimsReport | SignIn)
    assert observation.verified == tuple(verified.get("verified", ()))
    assert msgspec.json.decode(msgspec.json.encode(observation)) == stored
