"""What the profile of a view is called: its primary id, and those before.

Invariants: pure. A name depends on what is proven of the fragment alone: what others assert changes no name
in the views `own` and `proven`. Fragments that are one profile there are known, each by itself.

Source: docs/concepts/trust.md, "Views"; docs/wire/interactions.md §3.
"""

from collections.abc import Collection
from uuid import UUID

import msgspec

from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim
from oneself.core.identity_graph.joins import View, user_since
from oneself.core.profiles.profile import primary_id


class ProfileNames(msgspec.Struct, frozen=True):
    """The primary ids of a profile in a view."""

    profile_id: UUID
    #: While nothing was known of who it is; None: something always was.
    anonymous_id: str | None
    #: Since then; None: nothing is known.
    known_id: str | None
    #: The seq since which something is known; 0: nothing is.
    known_since: int = 0

    @property
    def primary_id(self) -> str:
        """What it is called now."""
        return self.known_id or self.anonymous_id or ""

    @property
    def every(self) -> tuple[str, ...]:
        """All its names, the first one first."""
        return tuple(name for name in (self.anonymous_id, self.known_id) if name is not None)


def proven_claims(fragment: Fragment) -> tuple[FragmentClaim, ...]:
    """The claims of a fragment, present and ended, that a server or a provider made."""
    return tuple(claim for claim in fragment.claims if claim.level > EvidenceLevel.ASSERTED)


def names_of(fragment: Fragment, view: View, believed: Collection[str] = ()) -> ProfileNames:
    """The names of the profile that a fragment heads.

    `believed`: the primary ids that the profile of this id had in the view `all`, the first one first; an
    anonymous visitor of a page is called by what its browser sent.
    """
    since = known_since(fragment, view)
    generated = primary_id(fragment.fragment_id, anonymous=False)
    named = [claim.tenure.identifier.value for claim in fragment.claims if is_former_id(claim)]
    sent = next((name for name in believed if name != generated and name not in named), None)
    anonymous = sent or primary_id(fragment.fragment_id, anonymous=True)
    if since is None:
        return ProfileNames(fragment.fragment_id, anonymous, None)
    proven = [claim.tenure.identifier.value for claim in proven_claims(fragment) if is_former_id(claim)]
    known = proven[0] if proven else generated
    return ProfileNames(fragment.fragment_id, anonymous if fragment.began_at < since else None, known, since)


def is_former_id(claim: FragmentClaim) -> bool:
    """Whether it is a claim on the named id of a legacy dataset."""
    return claim.tenure.identifier.namespace == LEGACY_ID


def known_since(fragment: Fragment, view: View) -> int | None:
    """The seq since which a server or a sign-in says who a fragment is of."""
    user = user_since(fragment, view)
    claimed = (claim.since for claim in proven_claims(fragment))
    return min((at for at in (user, *claimed) if at is not None), default=None)
