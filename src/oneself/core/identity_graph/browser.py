"""Browsers: which fragments hold the words of one tracker or anonymous id.

Source: docs/concepts/trust.md, "Fragments" and "Sign-in".
"""

from uuid import UUID

import msgspec


class ActingBrowser(msgspec.Struct, frozen=True):
    """What an event that only acts needs of its browser, which has one present fragment and speaks in it."""

    fragment_id: UUID
    #: The user whose words the browser speaks.
    user_id: str | None


class BrowserFragments(msgspec.Struct, frozen=True):
    """The fragments of one browser."""

    #: Those since its tracker began, or since a sign-in, link, report or sign-out moved it; oldest first.
    present: tuple[UUID, ...] = ()
    #: The present one in which the browser last spoke.
    current: UUID | None = None
    #: All of them; oldest first.
    every: tuple[UUID, ...] = ()
    #: The user whom the last report named for it, until the tracker moves again.
    reported_user: str | None = None
    #: Of a fresh tracker: the one that ends when this one is first used.
    replaces: str | None = None

    def with_fragment(self, fragment_id: UUID) -> "BrowserFragments":
        """The browser with a new present fragment, in which it now speaks."""
        return msgspec.structs.replace(
            self,
            present=(*self.present, fragment_id),
            current=fragment_id,
            every=(*self.every, fragment_id),
        )
