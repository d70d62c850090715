"""Claims: which profile holds an identifier."""

from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier


class Claim(msgspec.Struct, frozen=True):
    """The record that a profile holds an identifier, since `seq`, on evidence of this `trust`. `at`: when
    that happened, in µs, for what came late."""

    identifier: Identifier
    profile_id: UUID
    seq: int
    trust: str
    at: int
