"""An observation: one thing that happened, as every face hands it to the write path (DESIGN §2).

The log keeps it as it is; the fold reads nothing else. Ids and instants are drawn outside and carried here.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier

Kind = Literal["event", "write", "sign_in", "sign_out", "claims", "consent", "match", "configure", "erase"]
SenderTrust = Literal["server", "browser"]
Authority = Literal["application", "identity_server", "event"]

#: What a person does or has done to them; the rest is upkeep and makes nobody active.
ACTIVITY = frozenset({"event", "write", "sign_in", "sign_out", "consent"})


class TokenClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a persisted token says: whose it was, the identities of the visit (type → key, in the order in
    which they came), and when it was sealed, in µs. Source: wire/interactions §7."""

    primary_id: str
    identities: dict[str, str] = {}
    sealed_at: int = 0


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened, who says so, and what it says.

    `occurred_at`: µs since 1970, None = when it is recorded. `identifiers`: as sent, not normalised.
    `profile_id`: the profile it addresses. `creates`: it always makes a profile, which may be absorbed at
    once (wire/cds §5.1). `new_profile_id`: the id of the profile that it makes, if it makes one.
    `values`: a patch in the three scopes, None unsets. `authority`: by whose right values are written; the
    identity server's that do not fit are skipped, an application's are refused (wire/cds §8, §12), an event's
    give way to newer and more trusted ones (wire/interactions §10).
    `consents`: category → (consented, when in µs), in the place of all choices before; None: no word on it.
    `choices`: the same, each beside those of other categories.
    `received_at`: when it came in, in µs. `channel`: on which (wire/interactions §4). `remembered`: by its
    token. `is_interactive`: False makes nobody active. `new_tracker`: points at the profile unless the
    tracker that was sent does. `new_anonymous_id`: names the browser if nothing else names anybody.
    `objects`: type → what the person owns.
    """

    observation_id: UUID
    new_profile_id: UUID
    kind: Kind
    face: str
    trust: SenderTrust = "server"
    application: str | None = None
    occurred_at: int | None = None
    identifiers: tuple[Identifier, ...] = ()
    profile_id: UUID | None = None
    creates: bool = False
    values: dict[str, Any] = {}
    authority: Authority = "application"
    consents: dict[str, tuple[bool, int]] | None = None
    choices: dict[str, tuple[bool, int]] = {}
    received_at: int | None = None
    channel: str | None = None
    remembered: TokenClaims | None = None
    is_interactive: bool = True
    new_tracker: str | None = None
    new_anonymous_id: str | None = None
    objects: dict[str, list[dict[str, Any]]] = {}
    event_id: str | None = None
    name: str | None = None
    body: Any = None

    def happened(self, seq: int) -> int:
        """When it happened, in µs, if it is recorded at `seq`."""
        return seq if self.occurred_at is None else self.occurred_at
