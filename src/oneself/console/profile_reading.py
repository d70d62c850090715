"""What the pages of one profile read it from: a view, now or as it was at an instant.

    ?id=…&view=own|proven|all&at=…&dataset=…

Invariants: every page of a profile names it in this way, so that a link keeps view, instant and dataset. A
profile that the view or the instant does not have is a page that says so and leads back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from oneself.console.context import ConsoleContext, console_context
from oneself.console.formats import api_request, iso, when
from oneself.console.profile_words import addresses_in
from oneself.console.query import (
    InvalidParameter,
    query_choice,
    query_instant,
    query_text,
    required_text,
)
from oneself.core.config.configuration import Config
from oneself.core.disclosure import Reader
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.core.values.visibility import visible_values
from oneself.errors import InvalidInput, RequestError
from oneself.service.as_of.reading import EarlierReading, UnknownThen
from oneself.service.context import DEFAULT_DATASET
from oneself.service.explain.explanations import Explanations
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.parts import ProfilePart
from oneself.service.profiles.profiles import ProfileView
from oneself.service.profiles.readable import disclosed_body, is_readable
from oneself.web.forms import AnyRequest

#: Console users see every value, but of write-only attributes.
CONSOLE_READER = Reader(None, is_system=True, with_application_data=True)


class ProfileQuery(msgspec.Struct, frozen=True):
    """What names the profile of a page."""

    home: str
    dataset: str
    profile_id: str
    view: View = "all"
    #: An instant, as it was entered; empty: now.
    at: str = ""

    def url(self, page: str = "profile", **further: object) -> str:
        """A page about the same profile. `further`: of its query; `id`, `view` and `at` replace these."""
        query: dict[str, object] = {"id": self.profile_id}
        if self.dataset != DEFAULT_DATASET:
            query["dataset"] = self.dataset
        if self.view != "all":
            query["view"] = self.view
        if self.at:
            query["at"] = self.at
        query |= further
        return f"{self.home}/profiles/{page}?{urlencode({k: v for k, v in query.items() if v != ''})}"


class NoSuchProfile(Exception):
    """The view or the instant does not have the profile. `sentence`: why."""

    def __init__(
        self, context: ConsoleContext, query: ProfileQuery, sentence: str, status: int = 404
    ) -> None:
        super().__init__(sentence)
        self.context, self.query, self.sentence, self.status = context, query, sentence, status


class ProfileReading(msgspec.Struct, frozen=True):
    """A profile that a page is about, and what reads more of it."""

    context: ConsoleContext
    query: ProfileQuery
    view: ProfileView
    lookup: Lookup
    explanations: Explanations
    person_events: PersonEvents
    timeline: ProfileHistory
    #: What defines attributes: then, and today if that is not the same.
    configs: tuple[Config, ...]
    #: As it was; None: now.
    earlier: EarlierReading | None = None

    @property
    def as_of(self) -> str:
        """The instant of an earlier profile; empty: now."""
        return "" if self.earlier is None else when(self.earlier.at)

    @property
    def is_cut(self) -> bool:
        """Whether parts that it had then are left out."""
        return self.earlier is not None and any(item.is_cut for item in self.earlier.profiles)

    @property
    def title(self) -> str:
        """What names the profile for people."""
        survivor = self.view.survivor
        known = (Identifier(name, value) for name, values in survivor.identities.items() for value in values)
        readable = [value for value in map(self.visible_value_of, known) if value is not None]
        addresses = [value for value in readable if "@" in value] or addresses_in(self.values())
        users = (survivor.user_id,) if survivor.user_id is not None else ()
        return next(iter((*addresses, *users, *readable)), survivor.primary_id)

    def values(self) -> dict[str, Any]:
        """The values by scope that are visible, then and today."""
        values = self.view.survivor.record.values
        for config in self.configs:
            values = visible_values(config.schema, values)
        return values

    def visible_value_of(self, identifier: Identifier) -> str | None:
        """The value of an identifier; None if it is one of a write-only attribute."""
        if not all(is_readable(identifier, config) for config in self.configs):
            return None
        return visible_value(identifier)

    def body(self, body: Any) -> Any:
        """The body of an event, without what is write-only."""
        return disclosed_body(body, CONSOLE_READER, *self.configs)

    async def part(self) -> ProfilePart:
        """The part of the profile that its id means."""
        if self.earlier is not None:
            return self.earlier.profiles[0].part
        return await self.part_of(self.query.profile_id)

    async def part_of(self, text: str) -> ProfilePart:
        """The part of a profile that an id means. Raises NoSuchProfile."""
        found = await self.explanations.find(self.context.dataset_ref, text, self.query.view)
        if found is None:
            raise NoSuchProfile(self.context, self.query, _no_profile(self.query))
        return found

    def api_request(self, path: str = "", **query: str) -> str:
        """The same question to the REST interface."""
        at = "" if self.earlier is None else iso(self.earlier.at)
        resource = f"datasets/{self.query.dataset}/profiles/{self.view.survivor.profile_id}{path}"
        return api_request(self.context, resource, view=self.query.view, at=at, **query)


def profile_query(context: ConsoleContext) -> ProfileQuery:
    """What names the profile of a request. Raises InvalidParameter."""
    return ProfileQuery(
        context.home,
        context.dataset_ref.dataset,
        required_text(context.request, "id"),
        query_choice(context.request, "view", VIEWS, "all"),
        query_text(context.request, "at"),
    )


@asynccontextmanager
async def open_profile(request: AnyRequest, *, is_now: bool = False) -> AsyncIterator[ProfileReading]:
    """Find the profile that a request names. `is_now`: whatever instant the query names.

    Raises InvalidParameter, NoSuchProfile.
    """
    context = await console_context(request).in_dataset()
    query, at = profile_query(context), query_instant(request, "at")
    services = context.services
    if at is not None and not is_now:
        async with AsyncExitStack() as stack:
            yield await _open_earlier(stack, context, query, at)
        return
    query = msgspec.structs.replace(query, at="")
    found = await services.profiles.lookup.find(context.dataset_ref, query.profile_id, query.view)
    if found is None:
        raise NoSuchProfile(context, query, _no_profile(query))
    history = services.history
    yield ProfileReading(
        context,
        query,
        found,
        services.profiles.lookup,
        services.profiles.explanations,
        history.person_events,
        history.timeline,
        (found.config,),
    )


async def _open_earlier(
    stack: AsyncExitStack, context: ConsoleContext, query: ProfileQuery, at: int
) -> ProfileReading:
    reader = context.services.as_of
    try:
        earlier = await stack.enter_async_context(
            reader.read(context.dataset_ref, [query.profile_id], query.view, at)
        )
    except UnknownThen as error:
        raise NoSuchProfile(context, query, _unknown_then(error, at)) from None
    except InvalidInput as invalid:
        raise InvalidParameter("at", invalid.description) from None
    except RequestError as error:
        raise NoSuchProfile(context, query, error.description, status=400) from None
    (then,) = earlier.profiles
    return ProfileReading(
        context,
        query,
        then.view,
        earlier.lookup,
        earlier.explanations,
        earlier.person_events,
        earlier.timeline,
        (then.view.config, then.today.config),
        earlier,
    )


def _no_profile(query: ProfileQuery) -> str:
    if query.view == "all":
        return "No profile has this id. It never existed, or it was erased."
    return f"No profile has this id in the view “{query.view}”. Look at a wider view."


def _unknown_then(error: UnknownThen, at: int) -> str:
    if error.began_at is None:
        return f"No profile had this id at {when(at)} UTC."
    return f"There was no such profile at {when(at)} UTC. It began at {when(error.began_at)} UTC."


def id_in(text: str) -> UUID | None:
    """The id that a text is; None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
