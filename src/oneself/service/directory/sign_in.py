"""Signing in and out: where an account, a browser and a profile meet.

Lives here: browser sessions, and what a sign-in or sign-out means for profiles. Must not know: pages and
protocols.

Invariants: before the application gets its tokens, the profile of the browser's tracker carries the `user_id`
and everything that follows from that is committed. A tracker is never used earlier. Every redeemed code
counts as a sign-in, also one that an earlier sign-in answers (single sign-on).

Source: docs/wire/cds.md §12, §14.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.crypto import digest, new_token
from oneself.service.directory.accounts import Account, account_of
from oneself.service.directory.tokens import AccessTokens
from oneself.service.ingest.submission import ObservationRejected, ReplayableResponse
from oneself.service.ingest.trackers import new_fresh_tracker
from oneself.service.profiles.profiles import ActiveTracker, Profiles, RequestOptions
from oneself.store.directory import Directory

INTERFACE = "sign-in"
SESSION_LIFE_US = 12 * 3600 * 1_000_000
TRACKER_CHARACTERS_MAX = 100


class BrowserSession(msgspec.Struct, frozen=True):
    """A browser in which a user is signed in."""

    session_id: UUID
    account: Account
    #: When the user proved who they are, in µs since 1970.
    auth_time: int


class SignIns:
    """Creates and ends browser sessions, and records sign-ins and sign-outs on profiles."""

    def __init__(
        self,
        directory: Directory,
        tokens: AccessTokens,
        profiles: Profiles,
        configurations: Configurations,
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._profiles = profiles
        self._configurations = configurations

    async def create_session(
        self, dataset_ref: DatasetRef, account: Account, previous: BrowserSession | None = None
    ) -> tuple[BrowserSession, str]:
        """A browser session and the new token that its cookie carries.

        `previous`: the session of this browser. A user who signs in again continues it; another user ends it.
        """
        token, now = new_token(), time.time_ns() // 1000
        session_id = uuid.uuid4()
        if previous is not None and previous.account.user_id == account.user_id:
            session_id = previous.session_id
        elif previous is not None:
            await self.end_session(dataset_ref, previous.account.user_id, previous.session_id)
        session = BrowserSession(session_id, account, now)
        async with self._directory.transaction() as tables:
            sessions = tables.of(dataset_ref.org_id).sessions
            await sessions.delete(session_id)
            await sessions.put(digest(token), session_id, account.user_id, now, now + SESSION_LIFE_US)
            await tables.of(dataset_ref.org_id).accounts.put_used(account.user_id, now)
        return session, token

    async def find(self, dataset_ref: DatasetRef, token: str | None) -> BrowserSession | None:
        """The unexpired session of a cookie's token."""
        if not token:
            return None
        sessions = self._directory.of(dataset_ref.org_id).sessions
        row = await sessions.find(digest(token), time.time_ns() // 1000)
        return BrowserSession(row.session_id, account_of(row.account), row.auth_time) if row else None

    async def record_sign_in(
        self,
        dataset_ref: DatasetRef,
        application: str | None,
        account: Account,
        trackers: Sequence[str] = (),
        *,
        grant_id: UUID | None = None,
        gives_fresh_tracker: bool = False,
    ) -> str | None:
        """Give the browser's profile its user, or find or create the user's own profile.

        `trackers`, the strongest first: the browser's cookie, then what the application passed on. The first
        active one counts. `grant_id`: the grant of the sign-in, which is recorded once. While the service is
        not enabled for the organisation, nothing is recorded. Returns the fresh tracker, if it gives one.
        """
        if not await self._is_enabled(dataset_ref):
            return None
        tracker = await self._first_active(dataset_ref, trackers)
        actor = Actor(INTERFACE, application)
        fresh = new_fresh_tracker() if gives_fresh_tracker else None
        signed_in = await self._profiles.sign_in(
            dataset_ref,
            actor,
            str(account.user_id),
            tracker=tracker,
            fresh_tracker=fresh,
            claims=dict(account.claims),
            verified=tuple(sorted(account.verified)),
            request=_once(grant_id, fresh),
        )
        return signed_in.response.decode() if signed_in.response else None

    async def record_sign_out(
        self,
        dataset_ref: DatasetRef,
        application: str | None,
        user_id: UUID,
        session_id: UUID,
        trackers: Sequence[str],
    ) -> None:
        """End a session. The browser keeps its profile unless the organisation detaches it."""
        await self.end_session(dataset_ref, user_id, session_id)
        tracker = (
            await self._first_active(dataset_ref, trackers) if await self._is_enabled(dataset_ref) else None
        )
        if tracker is None:
            return
        try:
            await self._profiles.sign_out(dataset_ref, Actor(INTERFACE, application), str(user_id), tracker)
        except ObservationRejected:
            # The browser belongs to another user now: there is nothing to detach.
            return

    async def end_session(self, dataset_ref: DatasetRef, user_id: UUID, session_id: UUID) -> None:
        """End a session with its grants and tokens, and record nothing."""
        await self._tokens.revoke_session(dataset_ref, user_id, session_id)

    async def _is_enabled(self, dataset_ref: DatasetRef) -> bool:
        return (await self._configurations.current(dataset_ref.dataset_id)).settings.cds_enabled

    async def _first_active(self, dataset_ref: DatasetRef, trackers: Sequence[str]) -> ActiveTracker | None:
        return await self._profiles.find_active_tracker(dataset_ref, well_formed_trackers(trackers))


def _once(grant_id: UUID | None, fresh_tracker: str | None) -> RequestOptions:
    """The options by which a sign-in is recorded once, and a repeat gets the same fresh tracker."""
    if grant_id is None:
        return RequestOptions()
    response = ReplayableResponse((fresh_tracker or "").encode())
    return RequestOptions(f"sign_in:{grant_id}", render=lambda _: response)


def well_formed_trackers(trackers: Iterable[str]) -> tuple[str, ...]:
    """The trackers that can be one, in their order."""
    return tuple(
        tracker
        for tracker in trackers
        if tracker.isprintable() and 0 < len(tracker) <= TRACKER_CHARACTERS_MAX
    )
