"""Validates values against their attributes, member by member and element by element.

Invariants: this module does not know what is stored, so it does not check mutability (`patch`).

Source: docs/wire/cds.md §8 (labels, paths, wording).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oneself.core.values.attribute import APPLICATION_DATA, IDENTITY_ATTRIBUTES, SCOPES, TRAITS, Field
from oneself.core.values.record import Path
from oneself.core.values.value_types import TYPE_MISMATCH, TypeMismatch

LABELS = {
    IDENTITY_ATTRIBUTES: "identity attribute",
    TRAITS: "trait",
    APPLICATION_DATA: "application_data",
}
READ_ONLY_PROBLEM = "field is read-only or computed"
IMMUTABLE_PROBLEM = "immutable field cannot be updated"
WRITE_ONCE_PROBLEM = "write-once field cannot be changed after being set"
UNDEFINED = "not defined in schema"
NOT_AN_OBJECT = "must be of object type"

_WITHOUT_COLON = (UNDEFINED, NOT_AN_OBJECT)
_PATH_CHARS_MAX = 300


class InvalidValue(Exception):
    """A value is invalid or must not be changed. The text of the exception is that of docs/wire/cds.md §8.

    `label`: the kind of attribute. `path`: `key`, `app.key`, `a.b` or `a[0].b`, at most 300 characters.
    `problem`: what is wrong with the value.
    """

    def __init__(self, label: str, path: str, problem: str) -> None:
        super().__init__(label, path, problem)
        self.label = label
        self.path = path[:_PATH_CHARS_MAX].encode("utf-8", "replace").decode()
        self.problem = problem

    def __str__(self) -> str:
        colon = "" if self.problem in _WITHOUT_COLON else ":"
        return f"{self.label} '{self.path}'{colon} {self.problem}"


def rejection_of(path: Path, problem: str) -> InvalidValue:
    """The rejection of the value at a path, which starts with a scope."""
    return InvalidValue(LABELS[path[0]], ".".join(path[1:]), problem)


def buckets(patch: dict[str, Any], *, strict: bool = False) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The objects of a patch that hold attributes, with their paths: one per section, one per application.

    A section or an application entry that is not an object is skipped (docs/wire/cds.md §5.4). If `strict`,
    such an application entry raises InvalidValue (§5.1).
    """
    for scope in SCOPES:
        section = patch.get(scope)
        if type(section) is not dict:
            continue
        if scope != APPLICATION_DATA:
            yield (scope,), section
            continue
        for application, bucket in section.items():
            if type(bucket) is dict:
                yield (scope, application), bucket
            elif strict:
                raise InvalidValue("application_data entry", application, NOT_AN_OBJECT)


def validate(field: Field, value: Any, path: Path) -> Any:
    """The value in its stored form. Raises InvalidValue with the path of the innermost invalid value."""
    complex_ = field.attribute.value_type == "complex"
    if field.attribute.multi_valued:
        if type(value) is not list or (complex_ and any(type(element) is not dict for element in value)):
            raise rejection_of(path, TYPE_MISMATCH)
        if complex_:
            return [validate_object(field, item, element_path(path, at)) for at, item in enumerate(value)]
    elif complex_ and type(value) is dict:
        return validate_object(field, value, path)
    try:
        return list(map(field.fit, value)) if field.attribute.multi_valued else field.fit(value)
    except TypeMismatch as misfit:
        raise rejection_of(path, misfit.problem) from None


def validate_object(field: Field, value: dict[str, Any], path: Path) -> dict[str, Any]:
    """An object of a complex attribute in its stored form, without null members. Raises InvalidValue."""
    fitted = {}
    for key, member in value.items():
        child, target = field.children.get(key), (*path, key)
        if child is None:
            raise rejection_of(target, UNDEFINED)
        if member is not None:
            fitted[key] = validate(child, member, target)
    return fitted


def is_valid(field: Field, value: Any) -> bool:
    """Whether a stored value is valid for its attribute. Members of a single object are not checked."""
    if field.nests:
        return type(value) is dict
    try:
        validate(field, value, (field.attribute.scope,))
    except InvalidValue:
        return False
    return True


def element_path(path: Path, at: int) -> Path:
    """The path of an element of the list at a path: `a[0]`."""
    return (*path[:-1], f"{path[-1]}[{at}]")
