"""What of a profile's data is readable at all, whoever reads: a write-only attribute is not, wherever its
values stand, and of a tracker only the digest.

Invariants: pure functions of values and configuration. Which values a reader may see beyond that is
`core.disclosure`.

Source: docs/wire/cds.md §8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneself.core.config.configuration import Config
from oneself.core.disclosure import Reader
from oneself.core.identity.identifier import Identifier, tracker_digest
from oneself.core.values.attribute import SCOPES, TRAITS, WRITE_ONLY

_TRACKER_FIELD = "anonymousProfileTracker"
_BROWSER_FIELDS = ("anonymousId", "anonId")


def disclosed_body(body: Any, reader: Reader, *configs: Config) -> Any:
    """The body of an event that a reader may read. `configs`: of its dataset; each hides what it defines as
    write-only. Applications that are not system applications see only the browser's fields of `user`; nobody
    sees write-only attributes, and of a tracker more than its digest.
    """
    user = body.get("user") if isinstance(body, Mapping) else None
    if not isinstance(user, Mapping):
        return body
    if not reader.is_system:
        return {**body, "user": {name: user[name] for name in _BROWSER_FIELDS if name in user}}
    return {**body, "user": {name: _readable(name, part, configs) for name, part in user.items()}}


def _readable(name: str, part: Any, configs: Sequence[Config]) -> Any:
    if name == _TRACKER_FIELD and part:
        return tracker_digest(str(part))
    if name not in ("attributes", "identities") or not isinstance(part, Mapping):
        return part
    return {
        key: value
        for key, value in part.items()
        if not any(is_write_only(_named(key, config), config) for config in configs)
    }


def is_readable(identifier: Identifier, config: Config) -> bool:
    """Whether the value of an identifier may be shown to somebody who may read every value."""
    path = attribute_path(identifier.namespace, config)
    return path is None or not is_write_only(path, config)


def attribute_path(namespace: str, config: Config) -> Sequence[str] | None:
    """Where the values of a namespace stand in a profile: by a binding, also by one that no longer
    matches because its attribute is write-only; else the namespace is the name of an attribute.
    """
    if (match := config.bindings.get(namespace)) is not None:
        return match.path
    bound = (item.attribute for item in config.identity_attributes.values() if item.type_id == namespace)
    if (attribute := next(bound, None)) is not None:
        return attribute.split(".")
    scope, _, key = namespace.partition(".")
    return (scope, *key.split(".")) if scope in SCOPES and key else None


def _named(name: str, config: Config) -> Sequence[str]:
    """The attribute that a name in an event means, compared without case."""
    binding = next(
        (b for n, b in config.identity_attributes.items() if n.casefold() == name.casefold()), None
    )
    if binding is not None:
        return binding.attribute.split(".")
    keys = (key for key in config.schema.fields(TRAITS) if key.casefold() == name.casefold())
    return (TRAITS, next(keys, name))


def is_write_only(path: Sequence[str], config: Config) -> bool:
    """Whether the attribute at a path, or one that contains it, is write-only."""
    names = (".".join(path[:count]) for count in range(2, len(path) + 1))
    found = (config.schema.find(name) for name in names)
    return any(attribute is not None and attribute.mutability == WRITE_ONLY for attribute in found)
