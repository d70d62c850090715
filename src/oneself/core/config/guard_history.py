"""When the guards of a dataset were other ones: a guard that admits less ends no join that stood before.

Invariants: pure functions of the configurations before and after a change. The history is bounded: of what
is forgotten, the joins stand.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0034-changed-guards.md.
"""

from oneself.core.config.configuration import Config
from oneself.core.identity.identity_type import LEGACY_ID

#: How many former periods of one guard are kept; an operator changes a guard a few times.
PERIODS_MAX = 20


def separates_since(before: Config, after: Config, seq: int) -> dict[str, int]:
    """Namespace → since when two different values in it are two people, if they were not before.

    A namespace that is bound now separates whatever it identifies: it makes no difference whether the binding
    or the data came first.
    """
    kept = {name: at for name, at in before.separates_since.items() if name in after.separating}
    begun = after.separating - before.separating
    return kept | {name: seq for name in sorted(begun) if _identifies(name, before)}


def separated(before: Config, after: Config, seq: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """Namespace → when two different values in it were two people: from one seq up to another."""
    periods = dict(before.separated)
    for name in sorted(before.separating - after.separating):
        if _identifies(name, before):
            begin = before.separates_since.get(name, 0)
            earlier = tuple(period for period in periods.get(name, ()) if period[1] <= begin)
            periods[name] = (*earlier, (begin, seq))[-PERIODS_MAX:]
    return periods


def merge_limits(before: Config, after: Config, seq: int) -> tuple[tuple[int, int], ...]:
    """The limits of profiles per merge that there were, each with the seq since which; empty: one alone."""
    former, limit = before.limits.profiles_per_merge_max, after.limits.profiles_per_merge_max
    if former == limit:
        return before.merge_limits
    limits = (*(before.merge_limits or ((0, former),)), (seq, limit))
    if len(limits) <= PERIODS_MAX:
        return limits
    (since, first), (_, second), *later = limits
    return ((since, max(first, second)), *later)


def _identifies(name: str, config: Config) -> bool:
    """Whether values in a namespace identify people."""
    return name == LEGACY_ID or name in config.value_namespaces
