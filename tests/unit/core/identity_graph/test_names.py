"""What the profile of a view is called (docs/concepts/trust.md, "Views")."""

from __future__ import annotations

from uuid import UUID

from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Owner, ReportedUser, Tenure
from oneself.core.identity_graph.names import names_of

PROFILE = UUID("8675309a-baca-4555-9212-acdc00112233")
ANONYMOUS, KNOWN, SENT = PROFILE.hex[:16], PROFILE.hex[:24], "0123456789abcdef"


def fragment(*claims: FragmentClaim, **fields: object) -> Fragment:
    return Fragment(fragment_id=PROFILE, origin="browser", began_at=10, claims=claims, **fields)  # type: ignore[arg-type]


def claim(namespace: str, value: str, level: EvidenceLevel, since: int) -> FragmentClaim:
    return FragmentClaim(Tenure(Identifier(namespace, value)), level, since)


def test_nobody_known_is_called_by_what_the_browser_sent() -> None:
    assert names_of(fragment(), "proven").every == (ANONYMOUS,)
    assert names_of(fragment(), "proven", (SENT, KNOWN)).every == (SENT,)


def test_an_asserted_identity_changes_no_name() -> None:
    asserted = claim("emailAddress", "v@acme.example", EvidenceLevel.ASSERTED, 20)
    assert names_of(fragment(asserted), "proven", (KNOWN,)).every == (ANONYMOUS,)


def test_a_proven_identity_is_a_promotion() -> None:
    proven = claim("emailAddress", "v@acme.example", EvidenceLevel.PROVEN, 20)
    names = names_of(fragment(proven), "proven", (SENT, KNOWN))
    assert (names.every, names.primary_id, names.known_since) == ((SENT, KNOWN), KNOWN, 20)


def test_what_begins_known_never_had_another_name() -> None:
    proven = claim("emailAddress", "v@acme.example", EvidenceLevel.PROVEN, 10)
    assert names_of(fragment(proven), "proven", (KNOWN,)).every == (KNOWN,)


def test_a_reported_user_is_known_in_proven_alone() -> None:
    reported = fragment(reported=ReportedUser("ann", 20))
    assert names_of(reported, "proven").primary_id == KNOWN
    assert names_of(reported, "own").primary_id == ANONYMOUS
    owned = fragment(owner=Owner("ann", 30, "sign_in"))
    assert names_of(owned, "own").primary_id == KNOWN


def test_a_named_id_of_a_legacy_dataset_is_a_name_once_a_server_said_it() -> None:
    typed = claim(LEGACY_ID, "ann", EvidenceLevel.ASSERTED, 20)
    assert names_of(fragment(typed), "proven", ("ann",)).every == (ANONYMOUS,)
    said = claim(LEGACY_ID, "ann", EvidenceLevel.PROVEN, 20)
    assert names_of(fragment(said), "proven", ("ann",)).every == (ANONYMOUS, "ann")
