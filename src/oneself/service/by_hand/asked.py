"""What a person asks for: which part of a profile goes, or with whom it is merged, and why.

Lives here: values that the use-cases of this package share.
"""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.text import is_storable, nfc
from oneself.errors import InvalidInput
from oneself.service.history.entries import ClaimRecord
from oneself.service.profiles.profiles import ProfileView

#: How many fragments a request names at most; more are split by what they share.
FRAGMENTS_NAMED_MAX = 1000
REASON_CHARS_MAX = 500
VERSION_BYTES = 16


class SplitFragments(msgspec.Struct, frozen=True):
    """Take these fragments out."""

    fragment_ids: frozenset[UUID]


class SplitAbsorbed(msgspec.Struct, frozen=True):
    """Take out what a profile was that was absorbed, with all that came to it since."""

    profile_id: UUID


class SplitBrowser(msgspec.Struct, frozen=True):
    """Take out what a browser said. `name`: its anonymous id or tracker, or the digest of its tracker."""

    name: str


class SplitIdentifier(msgspec.Struct, frozen=True):
    """Take apart what an identifier alone joins. `text`: `namespace:value`."""

    text: str


class SplitSources(msgspec.Struct, frozen=True):
    """Take everything apart: what each user owns, what each browser said, each record of a server."""


SplitAsked = SplitFragments | SplitAbsorbed | SplitBrowser | SplitIdentifier | SplitSources


class Why(msgspec.Struct, frozen=True):
    """How a decision is made."""

    view: View
    #: In the words of whoever asks; an erasure of one of the profiles removes it.
    reason: str = ""
    #: Whether nothing is done but to say what would be.
    dry_run: bool = False
    #: The `version` of what a dry run said; if it would come to something else now, nothing is done.
    expected: str | None = None


class GivenUp(msgspec.Struct, frozen=True):
    """What ended because an account was given up."""

    user_id: str
    #: How many browsers begin anew.
    browsers: int
    #: The claims that the user had verified.
    verified: tuple[str, ...]
    #: Whether the embedded directory had the account, which is deleted with its sessions and tokens.
    has_account: bool


class DecidedProfile(msgspec.Struct, frozen=True):
    """A profile as it is after a decision, in the view that it names."""

    view: ProfileView
    fragment_ids: tuple[UUID, ...]
    identifiers: tuple[ClaimRecord, ...]
    #: How many events its fragments have.
    events: int

    @property
    def visible(self) -> tuple[object, ...]:
        """What somebody compares before they decide."""
        survivor = self.view.survivor
        held = [claim.identifier for claim in self.identifiers if claim.until is None]
        named = sorted((item.namespace, item.value) for item in held)
        return self.fragment_ids, survivor.user_id, survivor.record.values, survivor.consents, named


class Decided(msgspec.Struct, frozen=True):
    """What a decision came to, or would come to."""

    #: The entry of the log; None: nothing was done.
    decision_id: UUID | None
    #: Of a split: what stays with the profile first.
    profiles: tuple[DecidedProfile, ...]
    given_up: GivenUp | None = None

    @property
    def version(self) -> str:
        """A text that is another one if other profiles come of it, or these have other parts, values or
        identifiers, or something else ends. How many events they have makes no difference."""
        visible = [profile.visible for profile in self.profiles], self.given_up
        encoded = msgspec.json.encode(visible, order="deterministic")
        return blake2b(encoded, digest_size=VERSION_BYTES).hexdigest()


def checked_reason(text: str) -> str:
    """A reason as it is stored. Raises InvalidInput."""
    reason = nfc(text, REASON_CHARS_MAX)
    if reason is None or not is_storable(reason):
        raise InvalidInput("reason", f"A reason has at most {REASON_CHARS_MAX} characters, none of them NUL.")
    return reason.strip()


def via(text: str, identifier: Identifier | None) -> Identifier:
    """The identifier that a text means. Raises InvalidInput."""
    if identifier is None:
        raise InvalidInput(
            "identifier", f"{text[:100]!r} is no identifier; write it as type:value, with a type that exists."
        )
    return identifier
