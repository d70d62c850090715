"""Which senders may send an event to a dataset: origins of pages, and write keys.

    /event       origin of the page among the dataset's, if it lists any
                 with a browser key (Basic, or ?writeKey=): the key is one of the dataset, and the origin
                 among the key's, if it lists any
    /authevent   a server key of the dataset (Basic, or Bearer), else an application's credentials

Invariants: a request is rejected only by the current configuration, because the one in memory may be stale.
An unknown key is checked against it GUESSES_PER_S times per second and address; beyond that it costs no
query, and known keys are still accepted. A key in a header comes before one in the query.
Source: docs/wire/interactions.md §4.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from oneself.api.http.rate_limit import RateLimiter
from oneself.api.http.raw import RateLimited, RawRequest
from oneself.api.interactions.decode.encodings import decode_write_key
from oneself.api.interactions.errors import BASIC_CHALLENGE, RequestRejected
from oneself.auth.callers.guard import basic_credentials, bearer_token
from oneself.core.config.configuration import Config
from oneself.service.context import DatasetRef
from oneself.service.events.write_keys import WriteKey, kind_of

if TYPE_CHECKING:
    from oneself.services import Services

#: Unknown keys that one address may try per second, averaged over ten.
GUESSES_PER_S = 1
ORIGIN_NOT_ALLOWED, INVALID_WRITE_KEY = "origin_not_allowed", "invalid_write_key"
#: Browsers ask their user for a password when a page gets the challenge `Basic`; they ignore this one.
PAGE_CHALLENGE = b'WriteKey realm="events"'
UNKNOWN_KEY = "This write key is unknown here. Check the dataset, and whether the key was deleted."
NOT_A_BROWSER_KEY = (
    "Only a browser key (obk_…) may be sent here. If this is a server key, it is in a page: delete it."
)
NOT_A_SERVER_KEY = (
    "A browser key sends events to /api2/event. Send a server key (osk_…) or an application's credentials."
)
DATASET_ORIGIN = "This page's origin is not among the allowed origins of the dataset."
KEY_ORIGIN = "This page's origin is not among the allowed origins of the write key."


class Sender(msgspec.Struct, frozen=True):
    """What a request says about its sender."""

    address: str
    #: The origin of the page, if a page sent it.
    origin: bytes | None = None
    #: A write key of the right kind, valid or not.
    key: str | None = None
    #: What an invalid key is answered with.
    challenge: bytes = PAGE_CHALLENGE


class Admission(msgspec.Struct, frozen=True):
    """The configuration that accepts a sender, and its write key if it sent one."""

    config: Config
    key: WriteKey | None = None


class _KeyRejected(RequestRejected):
    """The dataset has no such write key."""


class SenderAdmission:
    """Accepts or rejects the senders of events."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._guesses = RateLimiter(GUESSES_PER_S)

    async def admit(self, dataset_ref: DatasetRef, sender: Sender) -> Admission:
        """Accept a sender by the configuration in memory, else by the current one.

        Raises RequestRejected (401, 403), RateLimited.
        """
        known = self._services.configurations.known(dataset_ref.dataset_id)
        if known is not None:
            try:
                return await self._check(dataset_ref, sender, known)
            except _KeyRejected:
                self._limit_guesses(sender.address)
            except RequestRejected:
                pass
        return await self.admit_now(dataset_ref, sender)

    async def admit_now(self, dataset_ref: DatasetRef, sender: Sender) -> Admission:
        """Accept a sender by the current configuration. Raises RequestRejected (401, 403)."""
        config = await self._services.configurations.current(dataset_ref.dataset_id)
        return await self._check(dataset_ref, sender, config)

    async def _check(self, dataset_ref: DatasetRef, sender: Sender, config: Config) -> Admission:
        if not _allows(config.dataset.allowed_origins, sender.origin):
            raise RequestRejected(403, DATASET_ORIGIN, code=ORIGIN_NOT_ALLOWED)
        if sender.key is None:
            return Admission(config)
        key = await self._services.events.write_keys.find(dataset_ref, sender.key, config)
        if key is None:
            raise _KeyRejected(401, UNKNOWN_KEY, code=INVALID_WRITE_KEY, challenge=sender.challenge)
        if not _allows(key.allowed_origins, sender.origin):
            raise RequestRejected(403, KEY_ORIGIN, code=ORIGIN_NOT_ALLOWED)
        return Admission(config, key)

    def _limit_guesses(self, address: str) -> None:
        retry_after_s = self._guesses.acquire(address)
        if retry_after_s:
            raise RateLimited(retry_after_s)


def page_sender(request: RawRequest) -> Sender:
    """The sender of an event without credentials. Raises RequestRejected for a key of another kind."""
    key = _key_of_header(request) or decode_write_key(request.query)
    if key is not None and kind_of(key) != "browser":
        raise RequestRejected(401, NOT_A_BROWSER_KEY, code=INVALID_WRITE_KEY, challenge=PAGE_CHALLENGE)
    return Sender(request.address, request.headers.get(b"origin"), key)


def server_sender(request: RawRequest) -> Sender:
    """The sender of a trusted event; without a key, it has the credentials of an application.

    Raises RequestRejected for a key of another kind.
    """
    key = _key_of_header(request)
    if key is not None and kind_of(key) != "server":
        raise RequestRejected(401, NOT_A_SERVER_KEY, code=INVALID_WRITE_KEY)
    return Sender(request.address, key=key, challenge=BASIC_CHALLENGE)


def _key_of_header(request: RawRequest) -> str | None:
    """The write key in `Authorization`: a user name with an empty password, or a bearer token."""
    header = request.headers.get(b"authorization")
    if header is None:
        return None
    authorization = header.decode("latin-1")
    name, password = basic_credentials(authorization) or (bearer_token(authorization) or "", "")
    return name if not password and kind_of(name) is not None else None


def _allows(allowed: Collection[str], origin: bytes | None) -> bool:
    """Whether pages of an origin may send events; requests without an origin do not come from pages.

    Compared byte for byte: browsers send an origin in one form only.
    """
    return origin is None or not allowed or origin.decode("latin-1") in allowed
