"""Profiles: create, find, patch, sign in and out.

Invariants: every change is one observation that `Ingest` ingests; every read is one statement. New ids are
random and generated here alone, so that the log can be folded again with the same ids.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import TRACKER, USER_ID, Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.resolution.observation import (
    ClaimsReport,
    ConsentChange,
    Observation,
    ProfileWrite,
    SignIn,
    SignOut,
)
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import ObservationRejected, ReplayableResponse, Resolution, Submission
from oneself.service.ingest.trackers import Trackers, find_anonymous_ids
from oneself.store.database import Database
from oneself.store.tables.idempotency_record import IdempotencyRecord
from oneself.store.transaction import Tables, snapshot
from oneself.store.view_reader import (
    Viewed,
    is_linked,
    is_reported,
    read_by_tracker,
    read_inside,
    read_own,
    read_view,
)

Render = Callable[[Resolution], ReplayableResponse]


class RequestOptions(msgspec.Struct, frozen=True):
    """Options of the request, not of the profile; see `ingest.Submission`."""

    #: From `request_key`.
    idempotency_key: str | None = None
    #: Equal for requests with the same content.
    fingerprint: str = ""
    #: The accepted values of the survivor's `updated_at`; another one rejects the request as `stale`.
    expected_versions: frozenset[int] | None = None
    #: Renders the response that is stored under the idempotency key.
    render: Render | None = None
    #: The view in which the caller is answered.
    view: View = "all"
    #: The tracker by which the caller is answered, if it is not a view of a profile.
    by_tracker: str | None = None


_NO_OPTIONS = RequestOptions()


class ProfileView(msgspec.Struct, frozen=True):
    """A profile with its survivor and everything that the survivor has absorbed."""

    #: The requested profile; the survivor itself, or one that it absorbed.
    profile: Profile
    survivor: Profile
    #: In the order of their absorption.
    absorbed: tuple[Absorbed, ...]
    config: Config
    #: In which it is shown.
    view: View = "all"

    @property
    def profile_ids(self) -> list[UUID]:
        """The survivor and every profile that it absorbed."""
        return [self.survivor.profile_id, *(absorbed.profile_id for absorbed in self.absorbed)]


def believed_view(unified: Iterable[Profile], profile_id: UUID, config: Config) -> ProfileView:
    """A profile of the view `all`. `unified`: its survivor, and every profile that this one absorbed."""
    profiles = {profile.profile_id: profile for profile in unified}
    survivor = next(profile for profile in profiles.values() if not profile.is_absorbed)
    members = [profile for profile in profiles.values() if profile.is_absorbed]
    absorbed = tuple(
        Absorbed(m.profile_id, m.reason or "", m.seq)
        for m in sorted(members, key=lambda m: (m.seq, m.profile_id))
    )
    return ProfileView(profiles.get(profile_id, survivor), survivor, absorbed, config)


async def find_believed(tables: Tables, profile_id: UUID) -> list[Profile]:
    """The survivor of a profile of the view `all` and everything that it absorbed; none: unknown or erased.

    An id that only the views `own` and `proven` have means the profile that is believed to be it.
    """
    found = await tables.profiles.find_unified(profile_id)
    if not found and (believed := await tables.fragments.find_believed_of([profile_id])):
        found = await tables.profiles.find_unified(believed[profile_id])
    return found


class ActiveTracker(msgspec.Struct, frozen=True):
    """A browser's tracker that points at a profile."""

    identifier: Identifier
    #: The profile that holds the tracker's claim.
    profile_id: UUID


class Profiles:
    """Creates, finds and changes the profiles of datasets."""

    def __init__(self, database: Database, configurations: Configurations, ingest: Ingest) -> None:
        self._database = database
        self._configurations = configurations
        self._ingest = ingest
        self._trackers = Trackers(database, ingest)

    async def create(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        values: Mapping[str, Any],
        *,
        tracker: str | None,
        user_id: str | None = None,
        request: RequestOptions = _NO_OPTIONS,
    ) -> Resolution:
        """Create a profile with its tracker, and unify it in the same transaction.

        `tracker`: from `new_tracker`, because the response contains it; None for a record that is no
        browser's. Raises ObservationRejected. Source: docs/wire/cds.md §5.1.
        """
        identifiers = [] if tracker is None else [Identifier(TRACKER, tracker)]
        if user_id is not None:
            identifiers.append(Identifier(USER_ID, user_id))
        observation = self._observe(
            ProfileWrite, actor, identifiers=tuple(identifiers), values=dict(values), creates=True
        )
        return await self._submit(dataset_ref, observation, request)

    async def patch(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        profile_id: UUID,
        values: Mapping[str, Any],
        *,
        user_id: str | None = None,
        request: RequestOptions = _NO_OPTIONS,
    ) -> Resolution:
        """Write values to the survivor of `profile_id`; None removes a value.

        Raises ObservationRejected: `profile_not_found`, `invalid_value`, `user_id_write_once`, `stale`.
        Source: docs/wire/cds.md §5.4.
        """
        identifiers = () if user_id is None else (Identifier(USER_ID, user_id),)
        observation = self._observe(
            ProfileWrite, actor, identifiers=identifiers, values=dict(values), profile_id=profile_id
        )
        return await self._submit(dataset_ref, observation, request)

    async def link(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        profile_id: UUID,
        user_id: str,
        *,
        trackers: Sequence[str] = (),
        request: RequestOptions = _NO_OPTIONS,
    ) -> Resolution | None:
        """Name a user for a profile, and give them the browser whose tracker comes with it.

        `trackers`: the strongest first; the first active one counts. None if all this is known already; then
        nothing is written. Raises ObservationRejected: `profile_not_found`, or `user_id_write_once` if the
        fragment of this id is another user's. Source: docs/wire/cds.md §5.5.
        """
        key, tracker = request.idempotency_key, await self.find_active_tracker(dataset_ref, trackers)
        browser = None if tracker is None else tracker.identifier.value
        is_repeated = key is not None and await self.was_answered(dataset_ref, key)
        if not is_repeated and await is_linked(self._tables(dataset_ref), profile_id, user_id, browser):
            return None
        return await self.sign_in(
            dataset_ref, actor, user_id, profile_id=profile_id, tracker=tracker, request=request
        )

    async def replace_consents(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        profile_id: UUID,
        choices: Mapping[str, tuple[bool, int]],
        *,
        view: View = "all",
    ) -> Resolution:
        """Replace all consent choices of the survivor of `profile_id`; the answer shows those of a view.

        `choices`: category → (consented, instant in µs). Raises ObservationRejected `profile_not_found`.
        Source: docs/wire/cds.md §6.
        """
        observation = self._observe(ConsentChange, actor, profile_id=profile_id, consents=dict(choices))
        return await self._submit(dataset_ref, observation, RequestOptions(view=view))

    async def was_answered(self, dataset_ref: DatasetRef, idempotency_key: str) -> bool:
        """Whether the response to a request with this key (from `request_key`) is stored."""
        return bool(await self._find_record(dataset_ref, idempotency_key))

    async def find_response(self, dataset_ref: DatasetRef, idempotency_key: str) -> ReplayableResponse | None:
        """The stored response to a request with this key; None if there is none, or it was erased."""
        record = await self._find_record(dataset_ref, idempotency_key)
        return None if record is None or record.response is None else ReplayableResponse(record.response)

    async def _find_record(self, dataset_ref: DatasetRef, idempotency_key: str) -> IdempotencyRecord | None:
        records = Tables(self._database, dataset_ref.dataset_id).idempotency_records
        return (await records.find([idempotency_key])).get(idempotency_key)

    async def patch_claims(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        user_id: str,
        claims: Mapping[str, Any],
        *,
        verified: tuple[str, ...] = (),
        name: str | None = None,
    ) -> Resolution:
        """Write the directory's claims of a user with the identity server's authority; None removes a value.

        `verified`: which of these claims are verified. `name`: what the observation is called in the log.
        Source: docs/wire/cds.md §12.
        """
        observation = self._observe(
            ClaimsReport,
            actor,
            identifiers=(Identifier(USER_ID, user_id),),
            values={IDENTITY_ATTRIBUTES: dict(claims)},
            verified=verified,
            name=name,
        )
        return await self._submit(dataset_ref, observation, _NO_OPTIONS)

    async def sign_in(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        user_id: str,
        *,
        profile_id: UUID | None = None,
        tracker: ActiveTracker | None = None,
        fresh_tracker: str | None = None,
        claims: Mapping[str, Any] | None = None,
        verified: tuple[str, ...] = (),
        request: RequestOptions = _NO_OPTIONS,
    ) -> Resolution:
        """Record that a user signed in.

        `profile_id`: a profile for which the user is only named.
        `tracker`: of the browser, from `find_active_tracker`; an inactive tracker is not evidence.
        `fresh_tracker`: from `new_fresh_tracker`; its first use ends the other one.
        `claims`: attribute → value, written as identity attributes with the identity server's authority.
        `verified`: which of them are verified.
        """
        identifiers = [Identifier(USER_ID, user_id)]
        if tracker is not None:
            identifiers.append(tracker.identifier)
        if fresh_tracker is not None:
            identifiers.append(Identifier(TRACKER, fresh_tracker))
        observation = self._observe(
            SignIn,
            actor,
            identifiers=tuple(identifiers),
            fresh_tracker=fresh_tracker,
            profile_id=profile_id,
            values={IDENTITY_ATTRIBUTES: dict(claims)} if claims else {},
            verified=verified,
        )
        return await self._submit(dataset_ref, observation, request)

    async def sign_out(
        self, dataset_ref: DatasetRef, actor: Actor, user_id: str, tracker: ActiveTracker
    ) -> Resolution:
        """Record that a user signed out in a browser.

        Raises ObservationRejected `not_signed_in` if the user is not signed in there.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        begun_anew: list[Identifier] = []
        if config.settings.detach_on_sign_out:
            begun_anew = await find_anonymous_ids(self._tables(dataset_ref), tracker.identifier)
        identifiers = (Identifier(USER_ID, user_id), tracker.identifier, *begun_anew)
        observation = self._observe(SignOut, actor, identifiers=identifiers)
        return await self._submit(dataset_ref, observation, _NO_OPTIONS)

    async def find(
        self, dataset_ref: DatasetRef, profile_id: UUID, *, config: Config | None = None
    ) -> ProfileView | None:
        """The profile with this id, absorbed or not; None if it is unknown or erased.

        For an id that only the views `own` and `proven` have, the profile that is believed to be it.
        `config`: the current configuration, if the caller has read it already.
        """
        found = await find_believed(self._tables(dataset_ref), profile_id)
        if not found:
            return None
        return believed_view(
            found, profile_id, config or await self._configurations.current(dataset_ref.dataset_id)
        )

    async def find_in(
        self, dataset_ref: DatasetRef, profile_id: UUID, view: View, *, config: Config | None = None
    ) -> ProfileView | None:
        """The profile with this id as a view shows it; None if it is unknown or erased."""
        if view == "all":
            return await self.find(dataset_ref, profile_id, config=config)
        known = config or await self._configurations.current(dataset_ref.dataset_id)
        tables = self._tables(dataset_ref)
        found = await read_view(tables, view, profile_id, known)
        if found is None:
            found = await read_inside(tables, view, profile_id, known)
        return _viewed(found, known, view)

    async def find_own(self, dataset_ref: DatasetRef, user_id: str) -> ProfileView | None:
        """What a user owns; None if the user is unknown."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return _viewed(await read_own(self._tables(dataset_ref), user_id, config), config, "own")

    async def find_tracker_view(self, dataset_ref: DatasetRef, tracker: str) -> ProfileView | None:
        """What whoever brings a tracker may read; None if it leads nowhere."""
        await self._trackers.note_use(dataset_ref, tracker)
        config = await self._configurations.current(dataset_ref.dataset_id)
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            return _viewed(await read_by_tracker(tables, tracker, config), config, "own")

    async def confirm(self, dataset_ref: DatasetRef, actor: Actor, user_id: str, tracker: str) -> None:
        """Record that a user, who is only reported for a browser, brought its tracker.

        Nothing is written if nobody is reported for it, or another user. Source: docs/concepts/trust.md.
        """
        await self._trackers.note_use(dataset_ref, tracker)
        if await is_reported(self._tables(dataset_ref), tracker, user_id):
            identifiers = (Identifier(USER_ID, user_id), Identifier(TRACKER, tracker))
            observation = self._observe(SignIn, actor, identifiers=identifiers)
            await self._submit(dataset_ref, observation, _NO_OPTIONS)

    def _tables(self, dataset_ref: DatasetRef) -> Tables:
        return Tables(self._database, dataset_ref.dataset_id)

    async def find_active_tracker(
        self, dataset_ref: DatasetRef, trackers: Sequence[str]
    ) -> ActiveTracker | None:
        """The first of the trackers that points at a profile; None if no tracker does."""
        for tracker in trackers:
            identifier = Identifier(TRACKER, tracker)
            profile_id = await self._find_holder(dataset_ref, identifier)
            if profile_id is not None:
                await self._trackers.note_use(dataset_ref, tracker)
                return ActiveTracker(identifier, profile_id)
        return None

    async def find_by_tracker(self, dataset_ref: DatasetRef, tracker: str) -> ProfileView | None:
        """The profile that a browser's tracker points at; None if the tracker is not active."""
        return await self._find_by(dataset_ref, Identifier(TRACKER, tracker))

    async def find_by_user(self, dataset_ref: DatasetRef, user_id: str) -> ProfileView | None:
        """The survivor that is assigned to this user."""
        view = await self._find_by(dataset_ref, Identifier(USER_ID, user_id))
        return msgspec.structs.replace(view, profile=view.survivor) if view else None

    async def _find_by(self, dataset_ref: DatasetRef, identifier: Identifier) -> ProfileView | None:
        profile_id = await self._find_holder(dataset_ref, identifier)
        return None if profile_id is None else await self.find(dataset_ref, profile_id)

    async def _find_holder(self, dataset_ref: DatasetRef, identifier: Identifier) -> UUID | None:
        value = identifier.value.strip()
        if "\x00" in value:
            return None
        claims = Tables(self._database, dataset_ref.dataset_id).claims
        return await claims.find_holder(Identifier(identifier.namespace, value))

    async def _submit(
        self, dataset_ref: DatasetRef, observation: Observation, request: RequestOptions
    ) -> Resolution:
        submission = Submission(
            observation,
            idempotency_key=request.idempotency_key,
            fingerprint=request.fingerprint,
            expected_versions=request.expected_versions,
            render=request.render,
            view=request.view,
            by_tracker=request.by_tracker,
        )
        try:
            return await self._ingest.submit(dataset_ref.dataset_id, submission)
        except ObservationRejected as error:
            inside = await self._find_inside(dataset_ref, submission, error)
            if inside is None:
                raise
        return await self._ingest.submit(dataset_ref.dataset_id, inside)

    async def _find_inside(
        self, dataset_ref: DatasetRef, submission: Submission, error: ObservationRejected
    ) -> Submission | None:
        """The submission to the profile of its view that has the words which began the addressed one."""
        observation, view = submission.observation, submission.view
        if view == "all" or error.rejection.code != "profile_not_found" or observation.profile_id is None:
            return None
        config = await self._configurations.current(dataset_ref.dataset_id)
        found = await read_inside(self._tables(dataset_ref), view, observation.profile_id, config)
        if found is None:
            return None
        addressed = msgspec.structs.replace(observation, profile_id=found.survivor.profile_id)
        return msgspec.structs.replace(submission, observation=addressed)

    def _observe(self, kind: Callable[..., Observation], actor: Actor, **fields: Any) -> Observation:
        return kind(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface=actor.interface,
            trust=actor.trust,
            application=actor.application,
            **fields,
        )


def _viewed(found: Viewed | None, config: Config, view: View) -> ProfileView | None:
    return None if found is None else ProfileView(found.profile, found.survivor, found.absorbed, config, view)
