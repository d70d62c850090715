"""What users verify: the provider claims that prove who they are.

Invariants: values are frozen; stored names never change.

Source: docs/concepts/trust.md, "Owner".
"""

import msgspec

from oneself.core.values.record import Path


class ClaimVerification(msgspec.Struct, frozen=True, kw_only=True):
    """A user verified a provider claim, or gave it up. It is also the content of a log entry."""

    user_id: str
    #: The path of the claim, as the dataset spells it in which it was verified.
    path: Path
    #: As the provider reports it.
    value: str
    #: False: the claim was given up.
    is_verified: bool
    #: When the address last changed hands, in µs since 1970: what was said up to then is not the user's.
    begins: int = 0
