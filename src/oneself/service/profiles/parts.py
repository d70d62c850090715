"""A part of a profile, as an id means it.

Invariants: values only; `lookup` finds them.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.identity_graph.joins import View
from oneself.service.profiles.profiles import ProfileView


class ProfilePart(msgspec.Struct, frozen=True):
    """What an id means: a fragment in the views `own` and `proven`, a profile of before in `all`."""

    part_id: UUID
    #: The profile that it belongs to, without what that absorbed.
    profile: ProfileView
    #: The part that heads the profile.
    head: UUID

    @property
    def view(self) -> View:
        """The view in which it is looked at."""
        return self.profile.view
