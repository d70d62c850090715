"""Random histories of people, browsers and servers, played through the services on PostgreSQL.

The histories are those of the core (`unit/core/identity_graph/histories.py`). `tracker` of a step names a
browser, which an event introduces to the service.
"""

from __future__ import annotations

import json
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import singledispatchmethod
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.changes import (
    ConfigChange,
    PutAttributes,
    PutDatasetSettings,
    PutIdentityAttributes,
    PutIdentityType,
    PutSettings,
    Several,
)
from oneself.core.config.configuration import Config
from oneself.core.identity.dataset_settings import NEW_DEFAULT_DATASET
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.observation import PageEvent
from oneself.core.values.attribute import READ_WRITE, WRITE_ONCE, Attribute
from oneself.errors import Conflict, InvalidInput
from oneself.service.by_hand.asked import SplitFragments, Why
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.submission import ObservationRejected, Submission
from oneself.service.privacy.selection import ErasureTarget
from oneself.services import Services
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables
from support.reconciled_view import find_attached
from support.stored_views import ReadProfiles, list_fragments, stored_profiles
from support.story_words import ATTRIBUTES, IDENTITIES, full_value
from unit.core.identity_graph.steps import (
    Confirm,
    Create,
    GiveUp,
    GiveUpAccount,
    Link,
    Match,
    Me,
    Merge,
    Page,
    Report,
    Server,
    Settings,
    SignIn,
    SignOut,
    Split,
    Step,
    Verify,
)

APPLICATION, REPORT = Actor("cds", "crm"), Actor("sync", "identity-server")
PROVIDER, PERSON = Actor("sign-in", "spa"), Actor("cds", "spa", trust="browser")
#: The one identity that a rule reads, so that histories switch it on and off; the others are bound.
BY_RULE = "card"
_BOUND = {name: identity for name, identity in IDENTITIES.items() if name != BY_RULE}
_MAIL = "emailaddress"


class PlayedHistory:
    """A new dataset, in which steps are taken."""

    def __init__(self, services: Services, dataset_id: int) -> None:
        self.dataset_id = dataset_id
        self._services = services
        self._ref = DatasetRef(dataset_id, f"history-{dataset_id}", dataset_id)
        self._created: dict[str, UUID] = {}
        #: The numbers of the steps, and the seq of the last log entry after each.
        self._numbers: list[int] = []
        self._seqs: list[int] = []
        #: Step → why the service rejected it.
        self.rejected: dict[int, str] = {}
        self._rule_id = ""

    async def begin(self, settings: Settings) -> PlayedHistory:
        """Configure the dataset."""
        await self._services.configurations.change(self.dataset_id, lambda _: _configuration(settings))
        is_active, proves = BY_RULE in settings.active, BY_RULE in settings.proves_identity
        draft = UnificationRule("", "by card", ATTRIBUTES[BY_RULE], 1, is_active, proves_identity=proves)
        self._rule_id = (await self._services.rules.rules.create(self._ref, draft)).rule_id
        await self._note(-1)
        return self

    async def play(self, steps: Iterable[tuple[int, Step]]) -> PlayedHistory:
        """Take steps, each with its number."""
        for number, step in steps:
            try:
                await self._take(step)
            except ObservationRejected as error:
                self.rejected[number] = error.rejection.code
            await self._note(number)
        return self

    async def change(self, decide: Callable[[Config], ConfigChange]) -> None:
        """Change the configuration, and let it hold for what is stored."""
        await self._services.configurations.change(self.dataset_id, decide)
        await self._finish_jobs()

    async def change_rule(self, **changes: Any) -> None:
        """Change the rule, and let it hold for what is stored."""
        await self._services.rules.rules.change(self._ref, self._rule_id, **changes)
        await self._finish_jobs()

    async def review(self) -> None:
        """Judge all joins again."""
        config = await self._services.configurations.current(self.dataset_id)
        await self._tables.join_reviews.start(config.seq)
        await self._finish_jobs()

    async def _finish_jobs(self) -> None:
        while await self._services.rules.reindexer.step() or await self._services.log.join_reviewer.step():
            pass

    async def erase(self, user: str) -> None:
        """Erase what a user owns."""
        await self._services.privacy.erasure.erase(self._ref, PROVIDER, ErasureTarget(user_id=user))

    async def forget_words(self, user: str) -> None:
        """Erase what the account of a user said of itself."""
        target = ErasureTarget(user_id=user, only_words=True)
        await self._services.privacy.erasure.erase(self._ref, PROVIDER, target)

    async def erase_record(self, fragment_id: UUID) -> None:
        """Erase a record that nobody owns, and nothing else."""
        target = ErasureTarget(view="own", profile_id=fragment_id)
        await self._services.privacy.erasure.erase(self._ref, APPLICATION, target)

    async def fragments(self) -> list[FragmentRow]:
        """All fragments."""
        return await list_fragments(self._tables)

    async def profiles(self) -> ReadProfiles:
        """View and fragment → the profile that shows the fragment."""
        config = await self._services.configurations.current(self.dataset_id)
        rules = graph_rules(config).fold.values
        return await stored_profiles(self._services.database, self.dataset_id, rules)

    async def by_tracker(self, tracker: str) -> Any:
        """What whoever brings a tracker reads; None: it leads nowhere."""
        return await self._services.profiles.profiles.find_tracker_view(self._ref, tracker)

    def step_of(self, seq: int) -> int:
        """The number of the step that recorded a log entry."""
        return self._numbers[bisect_left(self._seqs, seq)]

    @property
    def _tables(self) -> Tables:
        return Tables(self._services.database, self.dataset_id)

    async def last_seq(self) -> int:
        """The seq of the last log entry."""
        latest = "SELECT max(seq) FROM log WHERE dataset_id = $1"
        seq: int = await self._services.database.fetchval(latest, self.dataset_id)
        return seq

    async def _note(self, number: int) -> None:
        self._numbers.append(number)
        self._seqs.append(await self.last_seq())

    def _moment(self, at: int | None) -> int | None:
        """The time of a step, or of the last one before it that was taken."""
        if at is None:
            return None
        before = [seq for number, seq in zip(self._numbers, self._seqs, strict=True) if number <= at]
        return before[-1]

    @singledispatchmethod
    async def _take(self, step: Any) -> None:
        raise TypeError(f"{type(step).__name__} is not a step of the services")

    @_take.register
    async def _(self, step: Page) -> None:
        await self._event(step, Actor("interactions", trust="browser"))

    @_take.register
    async def _(self, step: Server) -> None:
        if step.user is not None:
            await self._create(step, tracker=None)
        elif step.profile is not None:
            await self._patch(self._created.get(step.profile), step, APPLICATION)
        else:
            await self._event(step, Actor("interactions", "crm"))

    @_take.register
    async def _(self, step: Create) -> None:
        self._created[step.name] = await self._create(step, step.tracker)

    @_take.register
    async def _(self, step: SignIn) -> None:
        await self._sign_in(step, PROVIDER)

    @_take.register
    async def _(self, step: Report) -> None:
        await self._sign_in(step, REPORT)

    @_take.register
    async def _(self, step: Link) -> None:
        profile_id = self._created.get(step.profile or "")
        if step.tracker is not None:
            found = await self.by_tracker(step.tracker)
            profile_id = None if found is None else found.profile.profile_id
        if profile_id is not None:
            trackers = [] if step.tracker is None else [step.tracker]
            await self._profiles.link(self._ref, APPLICATION, profile_id, step.user, trackers=trackers)

    @_take.register
    async def _(self, step: Confirm) -> None:
        await self._profiles.confirm(self._ref, PERSON, step.user, step.tracker)

    @_take.register
    async def _(self, step: SignOut) -> None:
        found, tracker = await self.by_tracker(step.tracker), await self._active(step.tracker)
        if found is not None and found.survivor.user_id is not None and tracker is not None:
            await self._profiles.sign_out(self._ref, PROVIDER, found.survivor.user_id, tracker)

    @_take.register
    async def _(self, step: Verify) -> None:
        claims = {_MAIL: full_value(step.value)}
        await self._profiles.patch_claims(self._ref, PROVIDER, step.user, claims, verified=(_MAIL,))

    @_take.register
    async def _(self, step: GiveUp) -> None:
        if await self._profiles.find_own(self._ref, step.user) is not None:
            await self._profiles.patch_claims(self._ref, PROVIDER, step.user, {_MAIL: None})

    @_take.register
    async def _(self, step: Me) -> None:
        own = await self._profiles.find_own(self._ref, step.user)
        await self._patch(None if own is None else own.profile.profile_id, step, PERSON)

    @_take.register
    async def _(self, step: Match) -> None:
        if step.namespace == BY_RULE:
            await self.change_rule(is_active=step.is_active)

    @_take.register
    async def _(self, step: Merge) -> None:
        one, other = self._created.get(step.one), self._created.get(step.other)
        if one is not None and other is not None:
            with suppress(InvalidInput, Conflict):
                await self._services.decisions.merge(
                    self._ref, APPLICATION, str(one), str(other), Why("proven")
                )

    @_take.register
    async def _(self, step: GiveUpAccount) -> None:
        found = [await self._profiles.find_own(self._ref, user) for user in (step.into, step.user)]
        ids = [str(item.profile.profile_id) for item in found if item is not None]
        if len(ids) == 2:
            with suppress(InvalidInput):
                await self._services.decisions.merge(
                    self._ref, APPLICATION, *ids, Why("proven"), gives_up=step.user
                )

    @_take.register
    async def _(self, step: Split) -> None:
        for name in step.profiles:
            await self.split([self._created.get(name)], step.view)

    async def split(self, fragment_ids: Iterable[UUID | None], view: View) -> None:
        """Take fragments out of their profile; nothing, if that is all of it."""
        taken = frozenset(item for item in fragment_ids if item is not None)
        for fragment_id in sorted(taken)[:1]:
            with suppress(InvalidInput):
                await self._services.decisions.split(
                    self._ref, APPLICATION, str(fragment_id), SplitFragments(taken), Why(view)
                )

    async def members(self, name: str) -> frozenset[int]:
        """The first steps of the fragments that are one profile in `proven` with that of a step `Create`."""
        rows = {row.fragment.fragment_id: row for row in await self.fragments()}
        head = rows[self._created[name]].proven_id
        return frozenset(
            self.step_of(row.fragment.began_at) for row in rows.values() if row.proven_id == head
        )

    async def split_steps(self, steps: frozenset[int]) -> None:
        """Take the fragments out of their profile in `proven` that began in these steps."""
        rows = [row.fragment for row in await self.fragments()]
        taken = [item.fragment_id for item in rows if self.step_of(item.began_at) in steps]
        await self.split(taken, "proven")

    async def told(self) -> set[tuple[str, frozenset[int], str | None, str]]:
        """Of each profile: its view, the steps whose words it has, its user and, but in `all`, its values."""
        tables = self._tables
        rows = {row.fragment.fragment_id: row for row in await self.fragments()}
        steps: dict[tuple[str, UUID], set[int]] = {}
        believed = await find_attached(tables)
        for (seq, _), fragment_id in (await tables.fragments.find_entries(rows)).items():
            row, number = rows[fragment_id], self.step_of(seq)
            keys = [("own", row.own_id), ("proven", row.proven_id)]
            keys += [("all", survivor_id) for item, survivor_id in believed if item == fragment_id]
            for key in keys:
                steps.setdefault(key, set()).add(number)
        found = set()
        for (view, profile_id), numbers in steps.items():
            profile = await self._profiles.find_in(self._ref, profile_id, view)
            values = {} if view == "all" else profile.survivor.record.values
            found.add(
                (view, frozenset(numbers), profile.survivor.user_id, json.dumps(values, sort_keys=True))
            )
        return found

    @property
    def _profiles(self) -> Any:
        return self._services.profiles.profiles

    async def _event(self, step: Page | Server, actor: Actor) -> None:
        devices = ((ANONYMOUS_ID, step.anonymous_id), (TRACKER, step.tracker))
        named = [
            (IDENTITIES[name][0], full_value(value)) for name, value in step.ids.items() if name in _BOUND
        ]
        plain = {name: value for name, value in step.ids.items() if name == BY_RULE}
        written = plain | {name: value for name, value in step.values.items() if value is not None}
        observation = PageEvent(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface=actor.interface,
            trust=actor.trust,
            application=actor.application,
            occurred_at=self._moment(step.at),
            identifiers=tuple(Identifier(*item) for item in (*devices, *named) if item[1] is not None),
            values={"traits": written} if written else {},
            new_tracker=step.tracker,
            new_anonymous_id=None if step.anonymous_id or step.tracker else uuid.uuid4().hex[:16],
            name="View",
        )
        await self._services.ingest.submit(self.dataset_id, Submission(observation))

    async def _create(self, step: Create | Server, tracker: str | None) -> UUID:
        made = await self._profiles.create(
            self._ref, APPLICATION, _written(step), tracker=tracker, user_id=step.user
        )
        return UUID(str(made.profile.profile_id))

    async def _patch(self, profile_id: UUID | None, step: Server | Me, actor: Actor) -> None:
        if profile_id is not None:
            await self._profiles.patch(self._ref, actor, profile_id, _written(step))

    async def _sign_in(self, step: SignIn | Report, actor: Actor) -> None:
        tracker = None if step.tracker is None else await self._active(step.tracker)
        mail = step.claims.get("mail")
        claims = {} if mail is None else {_MAIL: full_value(mail)}
        await self._profiles.sign_in(self._ref, actor, step.user, tracker=tracker, claims=claims)

    async def _active(self, tracker: str) -> Any:
        return await self._profiles.find_active_tracker(self._ref, [tracker])


def _configuration(settings: Settings) -> Several:
    attributes = [
        Attribute(
            attribute_id=name,
            attribute_name=name,
            value_type="string",
            merge_strategy="combine" if name == "traits.interests" else "overwrite",
            multi_valued=name == "traits.interests",
            mutability=WRITE_ONCE if name == "traits.source" else READ_WRITE,
        )
        for name in ATTRIBUTES.values()
    ]
    dataset = msgspec.structs.replace(
        NEW_DEFAULT_DATASET,
        identity_trust=settings.identity_trust,
        report_joins=settings.report_joins,
    )
    return Several(
        (
            PutAttributes(tuple(attributes)),
            PutIdentityType(IdentityType(IDENTITIES["phone"][0], "Mobile")),
            PutIdentityAttributes(
                tuple(IdentityBinding(type_id, type_id, attribute) for type_id, attribute in _BOUND.values())
            ),
            PutDatasetSettings(dataset),
            PutSettings(detach_on_sign_out=settings.detach_on_sign_out),
        )
    )


def _written(step: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in {**step.ids, **step.values}.items():
        scope, key = ATTRIBUTES[name].split(".")
        values.setdefault(scope, {})[key] = full_value(value) if isinstance(value, str) else value
    return values
