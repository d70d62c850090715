"""What an identity server reports about users and sessions, as observations.

Lives here: what each kind of report does to profiles. Must not know: what the server calls its events, and
how the interface answers.

Invariants: a report is one observation on the one write path, so everything that follows from it is done
before the interface answers. An identity server never repeats a report: values that fit are stored, the
others are counted. Source: docs/wire/cds.md §12.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec

from oneself.core.config.mirrored_attributes import claim_key
from oneself.core.identity.identifier import USER_ID, USER_ID_NAMESPACE, Identifier
from oneself.core.identity.normalise import normalise
from oneself.core.resolution.observation import ClaimsReport, SignIn, SignOut
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.reported_claims import accept_valid
from oneself.errors import OneselfError
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.verifiable_claims import find_verified, verifiable
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import ObservationRejected, Resolution, Submission
from oneself.service.privacy.erasure import Erasure
from oneself.service.profiles.profiles import ActiveTracker, Profiles, ProfileView
from oneself.store.transaction import Tables

if TYPE_CHECKING:
    from oneself.store.database import Database

INTERFACE = "sync"
ACTOR = Actor(INTERFACE)

ReportKind = Literal["user_added", "claims_set", "user_deleted", "signed_in", "signed_out", "other"]

#: `updated`: a profile may have changed and the caller is told so. `accepted`: the report is done without a
#: word.
SyncOutcome = Literal["accepted", "updated"]


class IdentityReport(msgspec.Struct, frozen=True):
    """One event of an identity server."""

    kind: ReportKind
    #: The server's own name of the event; stored with the observation.
    name: str = ""
    user_id: str = ""
    #: The tracker of the browser that the user is on.
    tracker: str = ""
    #: The profile that the server names for a new user.
    profile_id: UUID | None = None
    #: Claim URI → value.
    claims: dict[str, Any] = {}
    #: The claims, by key, that the server says are verified.
    verified: tuple[str, ...] = ()


class UnknownUser(OneselfError):
    """No profile has this user id."""


class UserIdRequired(OneselfError):
    """The report has no user id, or one that cannot identify a user."""


class IdentityReports:
    """Handles the reports of identity servers."""

    def __init__(
        self,
        database: Database,
        profiles: Profiles,
        ingest: Ingest,
        erasure: Erasure,
        rejected: RejectedClaims,
        configurations: Configurations,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._profiles = profiles
        self._ingest = ingest
        self._erasure = erasure
        self._rejected = rejected

    async def handle_report(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        """Do what a report asks for. Raises UnknownUser, UserIdRequired, Contended, Unavailable."""
        match report.kind:
            case "user_added":
                return await self._add_user(dataset_ref, report)
            case "claims_set":
                return await self._set_claims(dataset_ref, report)
            case "user_deleted":
                return await self._delete_user(dataset_ref, report)
            case "signed_in":
                return await self._sign_in(dataset_ref, report)
            case "signed_out":
                return await self._sign_out(dataset_ref, report)
            case "other":
                return "updated"

    async def _add_user(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        """Add a user to the profile of their browser, else to the profile that is named, else to one of their
        own.

        A named profile is the browser's: without a tracker it is not looked at.
        """
        if not report.user_id:
            return "accepted"
        user, tracker = _user(report), await self._active_tracker(dataset_ref, report)
        if tracker is not None:
            await self._observe(dataset_ref, report, SignIn, (user, tracker.identifier))
        elif not report.tracker or not await self._add_to_named_profile(dataset_ref, report, user):
            await self._observe(dataset_ref, report, ClaimsReport, (user,))
        return "accepted"

    async def _add_to_named_profile(
        self, dataset_ref: DatasetRef, report: IdentityReport, user: Identifier
    ) -> bool:
        """Whether the profile that the report names accepted the user; one of another user stays as it is."""
        if report.profile_id is None:
            return False
        try:
            await self._observe(dataset_ref, report, SignIn, (user,), report.profile_id)
        except ObservationRejected:
            return False
        return True

    async def _set_claims(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        if report.user_id:
            await self._observe(dataset_ref, report, ClaimsReport, (_user(report),))
        return "accepted"

    async def _delete_user(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        if not report.user_id or not await self._erasure.erase_user(dataset_ref, ACTOR, report.user_id):
            raise UnknownUser("No profile has this user id.")
        return "accepted"

    async def _sign_in(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        """The browser's profile becomes the user's, unless it is another user's
        (docs/concepts/resolution.md).
        """
        user, tracker = _user(report), await self._active_tracker(dataset_ref, report)
        if tracker is not None:
            await self._observe(dataset_ref, report, SignIn, (user, tracker.identifier))
        return "updated"

    async def _sign_out(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        tracker = await self._active_tracker(dataset_ref, report)
        if tracker is None:
            return "accepted"
        await self._find_user(dataset_ref, report)
        observation = SignOut(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface=INTERFACE,
            identifiers=(_user(report), tracker.identifier),
            name=report.name,
        )
        try:
            await self._ingest.submit(dataset_ref.dataset_id, Submission(observation))
        except ObservationRejected:
            # The browser is not the user's, or no longer is: there is no session to end.
            return "accepted"
        return "updated"

    async def _active_tracker(self, dataset_ref: DatasetRef, report: IdentityReport) -> ActiveTracker | None:
        return await self._profiles.find_active_tracker(
            dataset_ref, [report.tracker] if report.tracker else ()
        )

    async def _find_user(self, dataset_ref: DatasetRef, report: IdentityReport) -> ProfileView:
        view = await self._profiles.find_by_user(dataset_ref, report.user_id) if report.user_id else None
        if view is None:
            raise UnknownUser("No profile has this user id.")
        return view

    async def _observe(
        self,
        dataset_ref: DatasetRef,
        report: IdentityReport,
        kind: type[SignIn] | type[ClaimsReport],
        identifiers: tuple[Identifier, ...],
        profile_id: UUID | None = None,
    ) -> Resolution:
        """Write the report as one observation; raises ObservationRejected."""
        values = claim_values(report.claims)
        observation = kind(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface=INTERFACE,
            identifiers=identifiers,
            profile_id=profile_id,
            values=values,
            verified=await self._verified(dataset_ref, report, values.get(IDENTITY_ATTRIBUTES, {})),
            name=report.name,
        )
        resolution = await self._ingest.submit(dataset_ref.dataset_id, Submission(observation))
        if values:
            # Values that are invalid now were rejected by the write: those that it stored are valid.
            schema, record = resolution.config.schema, resolution.survivor.record
            self._rejected.count(dataset_ref, accept_valid(schema, record, values)[1])
        return resolution

    async def _verified(
        self, dataset_ref: DatasetRef, report: IdentityReport, claims: dict[str, Any]
    ) -> tuple[str, ...]:
        """The claims that the report verifies. `claims`: attribute → value.

        Where the organisation lets no provider verify, what is verified stays so until it changes.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        verified = verifiable(config.schema, claims, report.verified)
        refused = {claim for claim in verified if not config.settings.accepts(claim, "provider")}
        if not refused:
            return verified
        known = await find_verified(Tables(self._database, dataset_ref.dataset_id), report.user_id)
        return tuple(
            claim
            for claim in verified
            if claim not in refused or (claim in claims and claims[claim] == known.get(claim))
        )


def claim_values(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims by URI as a patch: the last part of a URI is the key. Source: docs/wire/cds.md §12."""
    by_key = {claim_key(uri): value for uri, value in claims.items()}
    return {IDENTITY_ATTRIBUTES: by_key} if by_key else {}


def _user(report: IdentityReport) -> Identifier:
    user = Identifier(USER_ID, report.user_id)
    if not isinstance(normalise(user, USER_ID_NAMESPACE), Identifier):
        raise UserIdRequired("The report has no user id, or one that cannot identify a user.")
    return user
