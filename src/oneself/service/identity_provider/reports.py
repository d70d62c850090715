"""What the identity server reports about people and sessions, as observations (wire/cds §12).

Law of this module: each report is one observation on the one write path, so that everything that follows
from it is done before it is answered. An identity server never repeats a report: what can be taken is taken,
what cannot is skipped and counted.
"""

from __future__ import annotations

import uuid
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.config.mirrored_attributes import claim_key
from oneself.core.identity.identifier import TRACKER, USER_ID, USER_ID_NAMESPACE, Identifier
from oneself.core.identity.normalise import normalise
from oneself.core.resolution.observation import Kind, Observation
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.reported_claims import accept_valid
from oneself.errors import OneselfError
from oneself.service.context import Actor, DatasetRef
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.ingest.ingest import Ingest, ObservationRejected, Resolution, Submission
from oneself.service.profiles.profiles import Profiles, ProfileView

FACE = "sync"
ACTOR = Actor(FACE)

ADDED = "POST_ADD_USER"
CLAIMS_SET = frozenset({"POST_SET_USER_CLAIM_VALUE_WITH_ID", "POST_SET_USER_CLAIM_VALUES_WITH_ID"})
DELETED = "POST_DELETE_USER_WITH_ID"
SIGNED_IN = "AUTHENTICATION_SUCCESS"
SIGNED_OUT = "SESSION_TERMINATE"

#: "updated" is said to the caller; "taken" is answered with nothing (wire/cds §12).
SyncOutcome = Literal["taken", "updated"]


class IdentityReport(msgspec.Struct, frozen=True):
    """One event. `tracker`: of the browser; `claims`: claim URI → value."""

    event: str
    user_id: str = ""
    tracker: str = ""
    profile_id: UUID | None = None
    claims: dict[str, Any] = {}


class UnknownUser(OneselfError):
    """No profile has this user id."""


class UserIdNeeded(OneselfError):
    """The event makes no sense without a user id, or with one that identifies nobody."""


class IdentityReports:
    """Hears what an identity server reports."""

    def __init__(self, profiles: Profiles, ingest: Ingest, skipped: RejectedClaims) -> None:
        self._profiles = profiles
        self._ingest = ingest
        self._skipped = skipped

    async def hear(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        """Do what a report asks for. Raises UnknownUser, UserIdNeeded, Contended, Unavailable."""
        if report.event == ADDED:
            return await self._add(dataset_ref, report)
        if report.event in CLAIMS_SET:
            return await self._set_claims(dataset_ref, report)
        if report.event == DELETED:
            return await self._delete(dataset_ref, report)
        if report.event == SIGNED_IN:
            return await self._sign_in(dataset_ref, report)
        if report.event == SIGNED_OUT:
            return await self._sign_out(dataset_ref, report)
        return "updated"

    async def _add(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        """A new user: on the browser that we know, else on the profile that is named, else on their own."""
        if not report.user_id:
            return "taken"
        user = _user(report)
        if report.tracker and await self._at(dataset_ref, report) is not None:
            await self._observe(dataset_ref, report, "sign_in", (user, Identifier(TRACKER, report.tracker)))
        elif not report.tracker or not await self._add_to_named(dataset_ref, report, user):
            await self._observe(dataset_ref, report, "claims", (user,))
        return "taken"

    async def _add_to_named(self, dataset_ref: DatasetRef, report: IdentityReport, user: Identifier) -> bool:
        """Whether the profile that the report names took the user; another user's is left alone."""
        if report.profile_id is None:
            return False
        try:
            await self._observe(dataset_ref, report, "sign_in", (user,), report.profile_id)
        except ObservationRejected:
            return False
        return True

    async def _set_claims(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        if report.user_id:
            await self._observe(dataset_ref, report, "claims", (_user(report),))
        return "taken"

    async def _delete(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        view = await self._known(dataset_ref, report)
        receipt = await self._profiles.erase(dataset_ref, ACTOR, view.survivor.profile_id)
        if receipt is None or not receipt.profile_ids:
            raise UnknownUser("The user's profile is gone already.")
        return "taken"

    async def _sign_in(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        """The browser's profile is the user's from now on, unless it is somebody else's (DESIGN §4.8)."""
        user = _user(report)
        if await self._at(dataset_ref, report) is not None:
            await self._observe(dataset_ref, report, "sign_in", (user, Identifier(TRACKER, report.tracker)))
        return "updated"

    async def _sign_out(self, dataset_ref: DatasetRef, report: IdentityReport) -> SyncOutcome:
        if await self._at(dataset_ref, report) is None:
            return "taken"
        await self._known(dataset_ref, report)
        identifiers = (_user(report), Identifier(TRACKER, report.tracker))
        try:
            await self._observe(dataset_ref, report, "sign_out", identifiers)
        except ObservationRejected:
            # The browser is not the user's, or is not any more: nothing to end.
            return "taken"
        return "updated"

    async def _at(self, dataset_ref: DatasetRef, report: IdentityReport) -> ProfileView | None:
        """Whose the browser is; None if nothing active says so."""
        return await self._profiles.find_by_tracker(dataset_ref, report.tracker) if report.tracker else None

    async def _known(self, dataset_ref: DatasetRef, report: IdentityReport) -> ProfileView:
        view = await self._profiles.find_by_user(dataset_ref, report.user_id) if report.user_id else None
        if view is None:
            raise UnknownUser("No profile has this user id.")
        return view

    async def _observe(
        self,
        dataset_ref: DatasetRef,
        report: IdentityReport,
        kind: Kind,
        identifiers: tuple[Identifier, ...],
        profile_id: UUID | None = None,
    ) -> Resolution:
        """Hand the report to the write path; raises Rejected where it names or ends something."""
        values = claim_values(report.claims) if kind != "sign_out" else {}
        observation = Observation(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            kind=kind,
            face=FACE,
            identifiers=identifiers,
            profile_id=profile_id,
            values=values,
            authority="identity_server",
            name=report.event,
        )
        resolution = await self._ingest.submit(dataset_ref.dataset_id, Submission(observation))
        if values:
            # What does not fit now did not fit then: the claims that were taken are stored and fit.
            schema, record = resolution.config.schema, resolution.survivor.record
            self._skipped.count(dataset_ref, accept_valid(schema, record, values)[1])
        return resolution


def claim_values(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims by URI as a patch: the key of each is the last part of its URI (wire/cds §12)."""
    named = {claim_key(uri): value for uri, value in claims.items()}
    return {IDENTITY_ATTRIBUTES: named} if named else {}


def _user(report: IdentityReport) -> Identifier:
    user = Identifier(USER_ID, report.user_id)
    if not isinstance(normalise(user, USER_ID_NAMESPACE), Identifier):
        raise UserIdNeeded("userId is missing or identifies nobody.")
    return user
