"""Which reported claims can be verified: those whose value is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.explicit_changes import explicit_claims
from oneself.core.values.schema import Schema


def verifiable(schema: Schema, claims: Mapping[str, Any], verified: Iterable[str]) -> tuple[str, ...]:
    """The verified claims without those whose reported value is empty or invalid.

    A claim that is verified without a value is so with the value that was reported last. That must not be
    another value than the provider means. `claims`: attribute → value.
    """
    patch = {IDENTITY_ATTRIBUTES: dict(claims)}
    valid = {".".join(change.path[1:]) for change in explicit_claims(schema, patch) if change.value}
    return tuple(claim for claim in verified if claim not in claims or claim in valid)
