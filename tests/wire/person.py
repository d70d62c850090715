"""Who is one person, told from answers alone; and waiting for what happens in the background."""

from __future__ import annotations

from typing import Any

from support.waiting import until
from wire.client import Cds

DEADLINE_S = 90.0


def survivor_of(org: Cds, profile: dict[str, Any]) -> str:
    """The id that stands for a profile now."""
    found = org.read(profile["profile_id"])
    return str(found.get("merged_to", found)["profile_id"])


def is_one(org: Cds, *profiles: dict[str, Any]) -> bool:
    """Whether all of them are one person; both directions of the reference must agree."""
    survivors = {survivor_of(org, profile) for profile in profiles}
    for survivor in survivors:
        entries = org.read(survivor).get("merged_from", [])
        known = {survivor, *(entry["profile_id"] for entry in entries)}
        assert len(known) == len(entries) + 1
        own = {p["profile_id"] for p in profiles if survivor_of(org, p) == survivor}
        assert own <= known
    return len(survivors) == 1


def refusals_of(org: Cds, *profiles: dict[str, Any]) -> set[str]:
    """The codes of the refusals that are listed between exactly these profiles."""
    ids = {profile["profile_id"] for profile in profiles}
    found, cursor = set(), ""
    while True:
        params = {"page_size": "200", **({"cursor": cursor} if cursor else {})}
        page = org.admin("GET", "/refusals", params=params).json()
        found |= {entry["code"] for entry in page["refusals"] if set(entry["profiles"]) == ids}
        cursor = page["pagination"].get("next_cursor", "")
        if not cursor:
            return found


def progress_of(org: Cds, rule: dict[str, Any]) -> dict[str, Any] | None:
    """How far a rule has been applied; None if it never was."""
    answer = org.admin("GET", "/unification-rules/progress")
    assert answer.status_code == 200, answer.text
    return next((work for work in answer.json()["progress"] if work["rule_id"] == rule["rule_id"]), None)


def applied(org: Cds, rule: dict[str, Any]) -> dict[str, Any]:
    """The progress of a rule when it has come to its end."""

    def ended() -> dict[str, Any] | None:
        work = progress_of(org, rule)
        return work if work and work["state"] != "running" else None

    return until(ended, lambda: f"the rule was not applied in time: {progress_of(org, rule)}", DEADLINE_S)
