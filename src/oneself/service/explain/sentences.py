"""What an explanation consists of, in words for people.

Invariants: words only, one for each code; commands and pages put them into sentences.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from oneself.service.explain.values import EvidenceName, PartKind

#: What supports a join.
EVIDENCE: Mapping[EvidenceName, str] = {
    "same_user": "the same user",
    "verified": "verified by the user",
    "proven": "proven by servers",
    "asserted": "asserted, not proven",
}
#: What a part of a profile is.
PARTS: Mapping[PartKind, str] = {
    "browser": "a browser",
    "server": "a record of a server",
    "application": "a profile that an application created",
    "user": "the user's own part",
    "profile": "a profile",
}
#: Code → why two profiles are not one. `{shared}`: what both have; `{rule}`, `{namespace}`: of the cause.
CAUSES = {
    "different_user": "Each has a user of its own. Two users are never merged.",
    "split_kept_apart": "A person split them. Only a person can merge them again.",
    "untrusted_evidence": "A page said so, not a server. A page does not merge people whom servers know.",
    "conflicting_identity": "They have different values of {namespace}, which keeps people apart.",
    "limit_exceeded": "A limit of the dataset does not admit the merge.",
    "not_same_owner": "In the view own, only what one user owns is one profile.",
    "changed_hands": "The identifier changed hands: what was said before is not about its present holder.",
    "not_at_one_time": "They did not have it at one time.",
    "not_matching": "The rule or binding that reads it was not active then.",
    "rule_inactive": "The rule {rule} is not active.",
    "type_not_unique": "The identity type {rule} is not unique, so its values match nobody.",
    "identity_resolution_off": "Identity resolution is off in this dataset, so {rule} matches nobody.",
    "blocked_value": "The value is a placeholder or blocked, so it identifies nobody.",
    "too_long": "The value is too long for an identifier.",
    "malformed": "The value does not have the form of its kind, so it identifies nobody.",
    "pending": "They will be merged: the profiles have not been computed again since the last change.",
    "parted_since": "They were one, or about to be, by what was known then, and were parted since.",
    "nothing_in_common": "They have nothing in common that merges profiles.",
}
#: Reason of a join without an identifier → what the two parts did.
DECIDED: Mapping[str, str] = {
    "manual": "were merged by a person",
    "bridge": "belonged together through something that was erased",
}
