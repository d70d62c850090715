"""What a person may write of their own profile: traits, and the data of the application that they use.

    traits                                   the person's
    application_data of the token's azp      the person's
    application_data of other applications   theirs: 403
    identity_attributes                      the identity provider's: 403

Repeating a stored value is not a change, so a client can send back what it read.
Source: docs/wire/cds.md §5.4.
"""

from __future__ import annotations

from oneself.api.documents.profile import APPLICATION, IDENTITY, TRAITS
from oneself.api.http.errors import forbidden
from oneself.api.http.json_body import Object
from oneself.core.values.patch import apply_patch
from oneself.core.values.validation import InvalidValue
from oneself.service.profiles.profiles import ProfileView

NOT_A_PERSONS = (
    "A person writes traits and the application_data of the application that they use. "
    "identity_attributes belong to the identity provider."
)


def own_part(view: ProfileView, application: str | None, values: Object) -> Object:
    """The part of a patch that a person may write. Raises WireError 403 if the rest would change a value."""
    buckets = values.get(APPLICATION, {})
    others = {name: bucket for name, bucket in buckets.items() if name != application}
    if _would_change(view, {IDENTITY: values.get(IDENTITY, {}), APPLICATION: others}):
        raise forbidden(NOT_A_PERSONS)
    own = {name: bucket for name, bucket in buckets.items() if name == application}
    return {scope: part for scope, part in ((TRAITS, values.get(TRAITS)), (APPLICATION, own)) if part}


def _would_change(view: ProfileView, patch: Object) -> bool:
    record = view.survivor.record
    try:
        changes = apply_patch(view.config.schema, record, patch, creating=False, authority="identity_server")
    except InvalidValue:
        return True
    return bool(changes)
