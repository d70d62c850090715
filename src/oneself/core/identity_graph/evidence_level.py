"""How well an identifier, a value or a join is supported.

Source: docs/concepts/trust.md, "Evidence".
"""

from enum import IntEnum


class EvidenceLevel(IntEnum):
    """How well something is supported; the higher goes first."""

    #: Anybody may have said it: a page, a browser write key, a person about themselves.
    ASSERTED = 0
    #: An authenticated server said it, or a sign-in proved it.
    PROVEN = 1
    #: An identity provider reports that somebody has verified it.
    VERIFIED = 2
