"""Which reported claims are verified: those whose value is stored, if the organisation accepts the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oneself.core.identity.identifier import USER_ID, USER_ID_NAMESPACE, Identifier
from oneself.core.identity.normalise import normalise
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.explicit_changes import explicit_claims
from oneself.core.values.schema import Schema
from oneself.store.transaction import Tables


def verifiable(schema: Schema, claims: Mapping[str, Any], verified: Iterable[str]) -> tuple[str, ...]:
    """The verified claims without those whose reported value is empty or invalid.

    A claim that is verified without a value is so with the value that was reported last. That must not be
    another value than the provider means. `claims`: attribute → value.
    """
    patch = {IDENTITY_ATTRIBUTES: dict(claims)}
    valid = {".".join(change.path[1:]) for change in explicit_claims(schema, patch) if change.value}
    return tuple(claim for claim in verified if claim not in claims or claim in valid)


async def find_verified(tables: Tables, user_id: str) -> dict[str, str]:
    """Claim → value, of those that a user has verified now."""
    user = normalise(Identifier(USER_ID, user_id), USER_ID_NAMESPACE)
    if not isinstance(user, Identifier):
        return {}
    found = await tables.verified_claims.find([user.value], ())
    return {".".join(path[1:]): claim.value for (owner, path), claim in found.items() if owner == user.value}
