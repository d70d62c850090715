"""Consent in views: whose choice holds where fragments are joined.

A choice holds in every view of the fragment that it was written to, and replaces those before it. Of
fragments that join, the more restrictive choice holds until the next one. Where a view has a user, a choice
in that user's fragments goes before others.

Source: docs/concepts/trust.md, "Consent".
"""

from collections.abc import Iterable, Mapping

import msgspec

from oneself.core.identity_graph.fragment import ChoiceWrite
from oneself.core.profiles.consent import EVENT_CHOICES_MAX, is_event_category


class EffectiveChoice(msgspec.Struct, frozen=True):
    """A choice that holds in a part of a view."""

    choice: ChoiceWrite
    #: Whether it was written to a fragment that has a user.
    is_of_user: bool


EffectiveChoices = Mapping[str, EffectiveChoice]
NO_CHOICES: EffectiveChoices = {}


def replacing(
    choices: tuple[ChoiceWrite, ...], chosen: Iterable[ChoiceWrite], seq: int
) -> tuple[ChoiceWrite, ...]:
    """The choices of a fragment with these as the only ones; all others are withdrawn."""
    kept = list(chosen)
    categories = {item.category for item in kept}
    gone = (
        ChoiceWrite(item.category, None, item.at, seq) for item in choices if item.category not in categories
    )
    return (*gone, *kept)


def add_choices(
    choices: tuple[ChoiceWrite, ...],
    replacing_all: Mapping[str, tuple[bool, int]] | None,
    beside: Mapping[str, tuple[bool, int]],
    seq: int,
) -> tuple[ChoiceWrite, ...]:
    """The choices of a fragment after an observation. Each is (whether the person consented, when in µs).

    `replacing_all`: replace all choices in consent categories; None: none is said. `beside`: choices in
    events, where the newer one wins, and at equal times the refusal. At most `EVENT_CHOICES_MAX` of these are
    kept.
    """
    if replacing_all is not None:
        in_events = tuple(item for item in choices if is_event_category(item.category))
        in_categories = tuple(item for item in choices if not is_event_category(item.category))
        chosen = [ChoiceWrite(category, *choice, seq) for category, choice in sorted(replacing_all.items())]
        choices = (*in_events, *replacing(in_categories, chosen, seq))
    for category, (is_consented, at) in sorted(beside.items()):
        choices = _beside(choices, ChoiceWrite(category, is_consented, at, seq))
    return choices


def _beside(choices: tuple[ChoiceWrite, ...], item: ChoiceWrite) -> tuple[ChoiceWrite, ...]:
    present = next((other for other in choices if other.category == item.category), None)
    if present is None:
        is_full = sum(is_event_category(other.category) for other in choices) >= EVENT_CHOICES_MAX
        return choices if is_full else (*choices, item)
    is_older = item.at < present.at or (item.at == present.at and bool(item.is_consented))
    return choices if is_older else (*(other for other in choices if other is not present), item)


def choose(present: EffectiveChoices, item: ChoiceWrite, *, is_of_user: bool) -> EffectiveChoices:
    """The choices of a part after one was written to a fragment of it."""
    earlier = present.get(item.category)
    if earlier is not None and earlier.is_of_user and not is_of_user:
        return present
    others = {category: choice for category, choice in present.items() if category != item.category}
    return (
        others if item.is_consented is None else others | {item.category: EffectiveChoice(item, is_of_user)}
    )


def join_choices(survivor: EffectiveChoices, absorbed: EffectiveChoices) -> EffectiveChoices:
    """The choices of two parts that are joined."""
    joined = dict(survivor)
    for category, theirs in absorbed.items():
        mine = joined.get(category)
        joined[category] = theirs if mine is None else _before(mine, theirs)
    return joined


def _before(mine: EffectiveChoice, theirs: EffectiveChoice) -> EffectiveChoice:
    if mine.is_of_user != theirs.is_of_user:
        return mine if mine.is_of_user else theirs
    return theirs if mine.choice.is_consented and not theirs.choice.is_consented else mine
