"""Random histories in which users give up their accounts, through the services on PostgreSQL.

Source: docs/decisions/0050-giving-up-an-account.md.
"""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from oneself.services import Services
from support import databases
from support.effort import examples
from support.reconciled_view import assert_sound
from support.stored_views import folded_profiles, stored_profiles
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import ADDRESSES, HONEST, TRACKERS, histories
from unit.core.identity_graph.steps import Create, GiveUpAccount, Link, Settings, SignIn, Split, Step

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(80_000)
_PAIRS = [(one, other) for one in HONEST for other in HONEST if one != other]


class Story(msgspec.Struct, frozen=True):
    """A history in which accounts are given up, and whose user is erased at its end."""

    settings: Settings
    steps: tuple[Step, ...]
    erased: str | None


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Two users who have signed in, perhaps on one browser, and what happens to them then."""
    history = draw(histories(steps_max=20))
    trackers = st.sampled_from((None, *TRACKERS))
    steps: list[Step] = [
        SignIn(user=user, tracker=draw(trackers), claims={"mail": ADDRESSES[user]}) for user in HONEST
    ]
    steps += history.steps
    given_up = st.tuples(st.integers(2, 20), st.sampled_from(_PAIRS))
    for place, (user, into) in draw(st.lists(given_up, min_size=1, max_size=3)):
        steps.insert(place, GiveUpAccount(user=user, into=into))
    return Story(history.settings, tuple(steps), draw(st.sampled_from((None, *HONEST))))


BEGUN: tuple[Step, ...] = (
    SignIn(user="ann"),
    SignIn(user="ben"),
    Create(name="p0", user="ben", ids={"phone": "1"}),
)
#: The erasure folds in one batch that what a split parted is joined again, and then that a join ends.
JOINED_AGAIN = Story(
    Settings(),
    (
        *BEGUN,
        Split(profiles=("p0",)),
        Link(user="ann", profile="p0"),
        GiveUpAccount(user="ben", into="ann"),
        Split(profiles=("p0",), view="all"),
    ),
    "ann",
)
JOINED_AND_PARTED = Story(
    Settings(), (*BEGUN, GiveUpAccount(user="ben", into="ann"), Split(profiles=("p0",))), "ann"
)


@QUICK
@example(story=JOINED_AGAIN)
@example(story=JOINED_AND_PARTED)
@given(story=stories())
async def test_every_view_follows_who_gives_up_an_account(services: Services, story: Story) -> None:
    await play(services, story)


@pytest.mark.soak
@settings(QUICK, max_examples=300)
@given(story=stories())
async def test_every_view_follows_who_gives_up_an_account_in_many_histories(
    services: Services, story: Story
) -> None:
    await play(services, story)


async def play(services: Services, story: Story) -> None:
    """Play a story and check what is stored, before and after the erasure."""
    note(story)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(story.settings)
    await played.play(enumerate(story.steps))
    expected, rules = await folded_profiles(services.database, played.dataset_id)
    assert await stored_profiles(services.database, played.dataset_id, rules) == expected
    await assert_sound(services, played.dataset_id)
    if story.erased is not None:
        await played.erase(story.erased)
        await assert_sound(services, played.dataset_id)
