"""Claims: which profile holds an identifier.

Invariants: several profiles can claim one identifier, and the oldest claim holds it. A claim does not know
the others.

Source: docs/concepts/resolution.md, rules 2 and 7.
"""

from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier


class Claim(msgspec.Struct, frozen=True):
    """The record that a profile holds an identifier. Source: docs/concepts/resolution.md, rule 7."""

    identifier: Identifier
    profile_id: UUID
    #: The observation that made the claim, by its place in the log.
    seq: int
    #: The trust of its evidence.
    trust: str
    #: When that happened, in µs since 1970, for observations that came late.
    at: int
    #: Its age: the seq of the observation that first reported the value.
    since: int

    @property
    def is_asserted(self) -> bool:
        """Whether nothing proves it."""
        return self.trust != "server"
