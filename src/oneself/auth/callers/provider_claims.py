"""The provider claims that Oneself reads, by their names in tokens and reports.

    attribute      OpenID Connect        WSO2
    emailaddress   email                 http://wso2.org/claims/emailaddress
    mobile         phone_number          http://wso2.org/claims/mobile
    givenname      given_name            http://wso2.org/claims/givenname
    lastname       family_name           http://wso2.org/claims/lastname
    username       preferred_username    http://wso2.org/claims/username

Invariants: a provider says that a claim is verified with exactly one of the names in VERIFICATION_NAMES, at
the top level. A claim of which it says nothing, or two different things, is unverified.
Source: OpenID Connect Core §5.1, docs/wire/cds.md §12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from oneself.core.text import is_storable
from oneself.service.directory.issuers import VerifiedClaims
from oneself.service.identity_provider.issuer_reports import ClaimStatement, IssuerReport

_WSO2 = "http://wso2.org/claims"
#: Attribute → the names of the claim that it mirrors.
CLAIM_NAMES = {
    "emailaddress": ("email", f"{_WSO2}/emailaddress"),
    "mobile": ("phone_number", f"{_WSO2}/mobile"),
    "givenname": ("given_name", f"{_WSO2}/givenname"),
    "lastname": ("family_name", f"{_WSO2}/lastname"),
    "username": ("preferred_username", f"{_WSO2}/username"),
}
#: Attribute → the names of the claims that say whether it is verified.
VERIFICATION_NAMES = {
    "emailaddress": ("email_verified", f"{_WSO2}/identity/emailVerified"),
    "mobile": ("phone_number_verified", f"{_WSO2}/identity/phoneVerified"),
}


def is_verified_in(claims: Mapping[str, Any], attribute: str) -> bool | None:
    """Whether a provider says that a claim is verified; None if it says nothing of it."""
    statements = [claims[name] for name in VERIFICATION_NAMES.get(attribute, ()) if name in claims]
    return all(map(_is_true, statements)) if statements else None


def issuer_report(
    claims: Mapping[str, Any], verified_claims: VerifiedClaims, latest_s: float
) -> IssuerReport | None:
    """What a token reports of its user; None if it reports nothing, or does not say when it was issued.

    `latest_s`: when it can have been issued at the latest, in seconds since 1970.
    """
    issued_s = claims.get("iat")
    if isinstance(issued_s, bool) or not isinstance(issued_s, int | float) or not math.isfinite(issued_s):
        return None
    if not 0 < issued_s <= latest_s:
        return None
    found = (_statement(claims, attribute, verified_claims) for attribute in CLAIM_NAMES)
    statements = tuple(statement for statement in found if statement is not None)
    verifies = verified_claims != "never"
    return IssuerReport(int(issued_s * 1_000_000), statements, verifies) if statements else None


def _statement(
    claims: Mapping[str, Any], attribute: str, verified_claims: VerifiedClaims
) -> ClaimStatement | None:
    values = [claims[name] for name in CLAIM_NAMES[attribute] if name in claims]
    is_verified = is_verified_in(claims, attribute)
    if not values:
        is_withdrawn = is_verified is False and verified_claims != "always"
        return ClaimStatement(attribute, UNSET, is_verified=False) if is_withdrawn else None
    value = values[0] or None
    if value is not None and not (isinstance(value, str) and is_storable(value)):
        return None
    match verified_claims:
        case "always":
            is_verified = True
        case "never":
            # It verifies nothing, but it can say that a claim is verified no longer.
            is_verified = is_verified is not False
        case "as_stated":
            is_verified = bool(is_verified)
    is_one_value = all(other == values[0] for other in values)
    can_be = attribute in VERIFICATION_NAMES and value is not None and is_one_value
    return ClaimStatement(attribute, value, is_verified=is_verified and can_be)


def _is_true(value: object) -> bool:
    """Some providers send text."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")
