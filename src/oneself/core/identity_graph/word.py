"""Words: what an observation says, as the identity graph takes it.

An interface's observation becomes one word. It knows who speaks, which decides what it proves.

Source: docs/concepts/trust.md, "Evidence".
"""

from collections.abc import Callable
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.values.record import Record, ValueChanges, ValueSource

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
    #: Takes the place of the tracker when it is first used.
    fresh_tracker: Identifier | None = None
    anonymous_id: Identifier | None = None
    user_id: str | None = None
    #: The fragment that it addresses.
    profile_id: UUID | None = None
    #: The person identifiers that it names, `user_id` not among them.
    identifiers: tuple[Identifier, ...] = ()
    #: What it writes: the changes themselves, or a function of what its fragment holds already.
    changes: ValueChanges | Callable[[Record], ValueChanges] = ValueChanges()
    source: ValueSource | None = None
    #: The attributes that it sets or unsets, and identity types bound to them. What its fragment held
    #: by these and is not named again, it loses.
    rewritten: frozenset[str] = frozenset()

    @property
    def level(self) -> EvidenceLevel:
        """The evidence for the identifiers that it names."""
        return EvidenceLevel.PROVEN if self.speaker == "server" else EvidenceLevel.ASSERTED

    def changes_of(self, record: Record) -> ValueChanges:
        """The changes that it makes to a fragment with this record."""
        return self.changes if isinstance(self.changes, ValueChanges) else self.changes(record)

    @property
    def device(self) -> Identifier | None:
        """The browser that it comes from: its tracker, else its anonymous id."""
        return self.tracker or self.anonymous_id
