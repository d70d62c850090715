"""Which profiles are one person, according to the answers, and waiting for background work."""

from __future__ import annotations

from typing import Any

from support.waiting import until
from wire.client import Cds

DEADLINE_S = 90.0


def survivor_of(org: Cds, profile: dict[str, Any]) -> str:
    """The id of the survivor of a profile, or of the profile itself."""
    found = org.read(profile["profile_id"])
    return str(found.get("merged_to", found)["profile_id"])


def is_one_person(org: Cds, *profiles: dict[str, Any]) -> bool:
    """Whether the profiles are one person; `merged_to` and `merged_from` must agree."""
    survivors = {survivor_of(org, profile) for profile in profiles}
    for survivor in survivors:
        entries = org.read(survivor).get("merged_from", [])
        listed = {survivor, *(entry["profile_id"] for entry in entries)}
        assert len(listed) == len(entries) + 1
        own = {p["profile_id"] for p in profiles if survivor_of(org, p) == survivor}
        assert own <= listed
    return len(survivors) == 1


def refusals_of(org: Cds, *profiles: dict[str, Any]) -> set[str]:
    """The codes of the listed refusals that name exactly these profiles."""
    ids = {profile["profile_id"] for profile in profiles}
    found, cursor = set(), ""
    while True:
        params = {"page_size": "200", "view": "all", **({"cursor": cursor} if cursor else {})}
        page = org.admin("GET", "/refusals", params=params).json()
        found |= {entry["code"] for entry in page["refusals"] if set(entry["profiles"]) == ids}
        cursor = page["pagination"].get("next_cursor", "")
        if not cursor:
            return found


def progress_of(org: Cds, rule: dict[str, Any]) -> dict[str, Any] | None:
    """The progress of applying a rule; None if it was never applied."""
    answer = org.admin("GET", "/unification-rules/progress")
    assert answer.status_code == 200, answer.text
    return next((job for job in answer.json()["progress"] if job["rule_id"] == rule["rule_id"]), None)


def wait_until_applied(org: Cds, rule: dict[str, Any]) -> dict[str, Any]:
    """Wait until a rule has been applied; its progress."""

    def finished() -> dict[str, Any] | None:
        job = progress_of(org, rule)
        return job if job and job["state"] != "running" else None

    return until(finished, lambda: f"the rule was not applied in time: {progress_of(org, rule)}", DEADLINE_S)
