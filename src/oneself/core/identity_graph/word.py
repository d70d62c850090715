"""Words: what an observation says, as the identity graph takes it.

An interface's observation becomes one word. It knows who speaks, which decides what it proves.

Source: docs/concepts/trust.md, "Evidence".
"""

from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.values.record import ValueChanges, ValueSource

#: Who speaks: a page; an authenticated application or server; a signed-in person; the identity provider.
Speaker = Literal["browser", "server", "person", "provider"]


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What one observation says. Identifiers are normalised."""

    speaker: Speaker
    seq: int
    #: When it happened, in µs since 1970.
    at: int
    #: The id of a fragment that it may begin.
    new_fragment_id: UUID
    tracker: Identifier | None = None
    anonymous_id: Identifier | None = None
    user_id: str | None = None
    #: The fragment that it addresses.
    profile_id: UUID | None = None
    #: The person identifiers that it names, `user_id` not among them.
    identifiers: tuple[Identifier, ...] = ()
    changes: ValueChanges = ValueChanges()
    source: ValueSource | None = None

    @property
    def level(self) -> EvidenceLevel:
        """The evidence for the identifiers that it names."""
        return EvidenceLevel.PROVEN if self.speaker == "server" else EvidenceLevel.ASSERTED

    @property
    def device(self) -> Identifier | None:
        """The browser that it comes from: its tracker, else its anonymous id."""
        return self.tracker or self.anonymous_id
