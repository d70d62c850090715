"""Visits: periods of activity without a longer pause.

A profile stores its last visit and the closed visits before it, so that late events and merged profiles add
to the right visit.

Invariants: this module does not know the events of a visit, only their times.

Source: docs/wire/interactions.md §2.
"""

from collections.abc import Iterable, Sequence

import msgspec

from oneself.core.profiles.profile import Profile, Visit

#: The newest closed visits that a profile stores: enough for display, and for the lifetime of a token.
VISITS_MAX = 50
#: No activity yet, only maintenance writes (docs/wire/interactions.md §9.3).
NO_ACTIVITY = 0


def record_activity(profile: Profile, at: int, pause_max: int) -> Profile:
    """The profile after activity at an instant (µs since 1970).

    `pause_max`: the longest pause within a visit, in µs.
    """
    if is_same_visit(profile, at, pause_max):
        return msgspec.structs.replace(profile, active_at=max(profile.active_at, at))
    return _with(profile, ((at, at),), at, pause_max)


def is_same_visit(profile: Profile, at: int, pause_max: int) -> bool:
    """Whether activity at an instant belongs to the last visit. `pause_max`: as of `record_activity`."""
    return profile.active_at != NO_ACTIVITY and profile.visit_at <= at <= profile.active_at + pause_max


def add_visits(profile: Profile, other: Profile, pause_max: int) -> Profile:
    """The profile with the visits of a profile that is merged into it.

    `pause_max`: the longest pause within a visit, in µs.
    """
    return _with(profile, _all(other), other.first_active_at, pause_max)


def _all(profile: Profile) -> tuple[Visit, ...]:
    if profile.active_at == NO_ACTIVITY:
        return ()
    return (*profile.visits, (profile.visit_at, profile.active_at))


def _with(profile: Profile, visits: Sequence[Visit], first_active_at: int, pause_max: int) -> Profile:
    """Adds visits to the profile.

    If it has none, they stay as they are: their pauses were evaluated when they were recorded.
    """
    if not visits:
        return profile
    if known := _all(profile):
        visits = _united((*known, *visits), pause_max)
        first_active_at = min(profile.first_active_at, first_active_at)
    *closed, (visit_at, active_at) = visits
    return msgspec.structs.replace(
        profile,
        visits=tuple(closed[-VISITS_MAX:]),
        visit_at=visit_at,
        active_at=active_at,
        first_active_at=first_active_at,
    )


def _united(visits: Iterable[Visit], pause_max: int) -> list[Visit]:
    """The visits in order, with those united that are not separated by a longer pause than `pause_max`."""
    united: list[Visit] = []
    for start, end in sorted(visits):
        if united and start - united[-1][1] <= pause_max:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((start, end))
    return united
