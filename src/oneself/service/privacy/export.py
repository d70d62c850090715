"""Export: everything that is stored about one person, as one document.

Invariants: one instant, nothing left out, whatever the attributes' mutability or a consent filter hides from
applications: the document is for the person. A tracker is named by its digest, because whoever has it reads
by it. Source: docs/concepts/trust.md.
"""

from typing import Any

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry, decided_of
from oneself.core.identity.identifier import TRACKER, Identifier, tracker_digest, visible_value
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.profile import Profile
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.privacy.person_data import PersonData, RecordedIdentifier, read_believed, read_parts
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.transaction import snapshot

FORMAT = "oneself-person-1"
#: What an observation names trackers in, beside its identifiers and the body of an event.
_TRACKER_FIELDS = ("new_tracker", "fresh_tracker")
_BODY_FIELD = "anonymousProfileTracker"


class Exports:
    """Writes exports."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def export(self, dataset_ref: DatasetRef, found: ProfileView) -> dict[str, Any] | None:
        """The document of a profile in its view, instants in µs since 1970; None if it was erased since."""
        view, profile_id = found.view, found.profile.profile_id
        config = await self._configurations.current(dataset_ref.dataset_id)
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            if view == "all":
                data = await read_believed(tables, profile_id)
            else:
                data = await read_parts(tables, view, profile_id, config)
        return None if data is None else _document(dataset_ref, view, data, config)


def _document(dataset_ref: DatasetRef, view: View, data: PersonData, config: Config) -> dict[str, Any]:
    survivor = data.survivor
    return {
        "format": FORMAT,
        "organisation": dataset_ref.handle,
        "view": view,
        "profile": _profile(survivor),
        "absorbed_profiles": [_absorbed(absorbed) for absorbed in data.absorbed],
        "values": survivor.record.values,
        "provenance": survivor.record.provenance,
        "consents": [_consent(config, category, choice) for category, choice in survivor.consents.items()],
        "identifiers": [_identifier(recorded) for recorded in data.identifiers],
        "merges": data.merges,
        "refusals": data.refusals,
        "decisions": [_decision(entry) for entry in data.decisions],
        "observations": [_observation(entry) for entry in data.entries],
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "profile_id": profile.profile_id,
        "primary_id": profile.primary_id,
        "user_id": profile.user_id,
        "created_at": profile.created_at,
        "updated_at": profile.updated_at,
        "active_at": profile.active_at,
    }


def _absorbed(profile: Profile) -> dict[str, Any]:
    return {**_profile(profile), "reason": profile.reason}


def _consent(config: Config, category: str, choice: Any) -> dict[str, Any]:
    known = config.categories.get(category)
    return {
        "category_identifier": category,
        "category_name": known.category_name if known else None,
        "is_consented": choice.is_consented,
        "consented_at": choice.consented_at,
        "profile_id": choice.profile_id,
    }


def _identifier(recorded: RecordedIdentifier) -> dict[str, Any]:
    return {
        "namespace": recorded.identifier.namespace,
        "value": visible_value(recorded.identifier),
        "profile_id": recorded.profile_id,
        "seq": recorded.seq,
        "trust": recorded.trust,
        "at": recorded.at,
        "until_seq": recorded.until_seq,
    }


def _decision(entry: LogEntry) -> dict[str, Any]:
    """What a person decided, without the words in which they say why: these may name somebody else."""
    decided = decided_of(entry)
    assert decided is not None
    return {
        "decided_at": entry.seq,
        "decision": entry.kind,
        "interface": decided.interface,
        "application": decided.application,
        "parts": len(decided.fragment_ids),
    }


def _observation(entry: LogEntry) -> dict[str, Any]:
    return {
        "recorded_at": entry.seq,
        "profile_id": entry.profile_id,
        "redacted": entry.content_redacted,
        **_without_trackers(entry.content),
    }


def _without_trackers(content: dict[str, Any]) -> dict[str, Any]:
    """The content of an observation with the digests of trackers in their places."""
    digests: dict[str, Any] = {
        name: tracker_digest(content[name]) for name in _TRACKER_FIELDS if content.get(name)
    }
    if named := content.get("identifiers"):
        digests["identifiers"] = [_without_tracker(identifier) for identifier in named]
    body = content.get("body")
    if isinstance(body, dict) and isinstance(user := body.get("user"), dict) and user.get(_BODY_FIELD):
        digest = tracker_digest(str(user[_BODY_FIELD]))
        digests["body"] = {**body, "user": {**user, _BODY_FIELD: digest}}
    return {**content, **digests}


def _without_tracker(identifier: dict[str, Any]) -> dict[str, Any]:
    if identifier["namespace"] != TRACKER:
        return identifier
    return {**identifier, "value": visible_value(Identifier(TRACKER, identifier["value"]))}
