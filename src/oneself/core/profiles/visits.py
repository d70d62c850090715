"""Visits: stretches of activity without a longer pause in them (wire/interactions §2).

A profile knows the visit that its last activity belongs to, and the closed ones before it, so that late
events and merges find the visits that they belong to.
"""

from collections.abc import Iterable, Sequence

import msgspec

from oneself.core.profiles.profile import Profile, Visit

#: Closed visits that a profile remembers, the newest: what a person looks at, and more than a token outlives.
VISITS_MAX = 50
#: Of whom nothing but upkeep is known (wire/interactions §9.3).
NO_ACTIVITY = 0


def record_activity(profile: Profile, at: int, pause_max: int) -> Profile:
    """The profile after activity at an instant (µs); `pause_max`: within a visit, in µs."""
    if profile.active_at != NO_ACTIVITY and profile.visit_at <= at <= profile.active_at + pause_max:
        return msgspec.structs.replace(profile, active_at=max(profile.active_at, at))
    return _with(profile, ((at, at),), at, pause_max)


def add_visits(profile: Profile, other: Profile, pause_max: int) -> Profile:
    """The profile with the visits of another that is the same person."""
    return _with(profile, _all(other), other.first_active_at, pause_max)


def _all(profile: Profile) -> tuple[Visit, ...]:
    if profile.active_at == NO_ACTIVITY:
        return ()
    return (*profile.visits, (profile.visit_at, profile.active_at))


def _with(profile: Profile, visits: Sequence[Visit], first_active_at: int, pause_max: int) -> Profile:
    """The profile with more visits, as they are if it had none: what a pause was is judged once."""
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
    """The visits in order; those with no longer pause between them are one."""
    united: list[Visit] = []
    for start, end in sorted(visits):
        if united and start - united[-1][1] <= pause_max:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((start, end))
    return united
