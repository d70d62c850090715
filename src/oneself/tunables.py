"""What the services are built with beside the settings: limits, times, costs and clocks.

Operators do not change them, so they are not settings. Each default is the value of a deployment; the module
that uses it gives the reason. Tests pass other values to `bootstrap.build_services`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from argon2 import Parameters
from joserfc.jwk import RSAKey

from oneself.adapters.identity_server.issuer_keys import RETRY_S
from oneself.auth.callers.external_tokens import TRUSTS_LIFE_S
from oneself.service.as_of.reading import ENTRIES_MAX as AS_OF_ENTRIES_MAX
from oneself.service.crypto import HASH_PARAMETERS
from oneself.service.directory.grants import CODE_LIFE_US
from oneself.service.directory.signing_keys import UNKNOWN_KEY_REREAD_S, GenerateKey
from oneself.service.directory.throttle import ThrottleLimits
from oneself.service.directory.tokens import REVOCATIONS_REREAD_S
from oneself.service.identity_provider.claim_sync import POLL_S, SCHEDULE_S
from oneself.service.identity_provider.verification_relay import CHANGES_MAX
from oneself.service.ingest.batcher import BatchLimits
from oneself.service.overview.counts import CountLimits
from oneself.service.preview.concerned import PreviewLimits
from oneself.service.rules.preview import ENTRIES_MAX
from oneself.service.schema.user_attributes import USER_ATTRIBUTES_MAX


class Tunables(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one process."""

    #: The cost of hashing a password.
    hash_parameters: Parameters = HASH_PARAMETERS
    #: Makes the private keys that sign tokens.
    generate_key: GenerateKey = RSAKey.generate_key
    #: Seconds since 1970, by which tokens expire.
    now: Callable[[], float] = time.time
    batches: BatchLimits = BatchLimits()
    attempts: ThrottleLimits = ThrottleLimits()
    #: How long an authorization code is valid.
    code_life_us: int = CODE_LIFE_US
    #: How soon a process knows which tokens other processes revoked.
    revocations_reread_s: float = REVOCATIONS_REREAD_S
    #: How soon a process looks again for a signing key that it does not know.
    unknown_key_reread_s: float = UNKNOWN_KEY_REREAD_S
    #: How soon a process knows which issuers are trusted.
    trusts_life_s: float = TRUSTS_LIFE_S
    #: The time between two reads of an issuer's keys.
    issuer_keys_retry_s: float = RETRY_S
    #: How soon a process knows which claims other processes have to read.
    claim_sync_poll_s: float = POLL_S
    #: How soon the claims of a new identity server are due.
    claim_sync_schedule_s: float = SCHEDULE_S
    #: How many changes of who verified what a dataset records at once.
    verifications_max: int = CHANGES_MAX
    preview_entries_max: int = ENTRIES_MAX
    #: How many log entries an answer about an earlier instant is folded from.
    as_of_entries_max: int = AS_OF_ENTRIES_MAX
    preview_limits: PreviewLimits = PreviewLimits()
    user_attributes_max: int = USER_ATTRIBUTES_MAX
    count_limits: CountLimits = CountLimits()
