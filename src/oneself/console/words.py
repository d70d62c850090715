"""What properties of attributes are called on pages, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping

from oneself.core.values.attribute import APPLICATION_DATA, IDENTITY_ATTRIBUTES, TRAITS

#: Value on the wire → name, explanation.
Options = Mapping[str, tuple[str, str]]

SCOPES: Options = {
    TRAITS: (
        "Traits",
        "What applications and pages know of a person, such as interests or a loyalty tier.",
    ),
    IDENTITY_ATTRIBUTES: (
        "Identity attributes",
        "What the identity provider knows of a person, such as the e-mail address. They follow its claims.",
    ),
    APPLICATION_DATA: (
        "Application data",
        "What one application stores of a person for itself. Each application has its own.",
    ),
}
BUILT_IN = "built_in"
BUILT_IN_WORDS = ("Built in", "What every profile has. Oneself writes these attributes; nobody defines them.")

VALUE_TYPES: Options = {
    "string": ("Text", "Any text, or one of a list of allowed values."),
    "integer": ("Whole number", "A number without a fraction, such as 42."),
    "decimal": ("Number", "A number with or without a fraction, such as 9.5."),
    "boolean": ("Yes or no", "true or false."),
    "date": ("Date", "A day, such as 2026-06-05."),
    "date_time": ("Date and time", "An instant, such as 2026-06-05T03:38:04Z."),
    "epoch": ("Timestamp", "An instant in milliseconds since 1970."),
    "complex": ("Object", "Several attributes under one name, such as an address."),
}
MERGE_STRATEGIES: Options = {
    "overwrite": ("Overwrite", "The value of the profile that is merged in replaces the stored value."),
    "combine": ("Combine", "Both lists are kept as one, without duplicates. Needs several values."),
}
#: Strategies of attributes that events brought; nobody chooses them here.
OTHER_STRATEGIES: Options = {
    "latest": ("Latest", "The newest value remains."),
    "earliest": ("Earliest", "The oldest value remains."),
    "keep": ("Keep", "The stored value remains."),
    "sum": ("Sum", "The values are added."),
    "max": ("Maximum", "The largest value remains."),
    "min": ("Minimum", "The smallest value remains."),
}
MUTABILITIES: Options = {
    "readWrite": ("Read and write", "Applications can read and change it."),
    "readOnly": ("Read only", "Applications can read it. They cannot write it."),
    "writeOnly": ("Write only", "Applications can write it. It is never returned."),
    "immutable": ("Fixed", "It is set when the profile is created, and never changes."),
    "writeOnce": ("Write once", "It can be set once, at any time, and then never changes."),
}
#: Type of a change, as webhooks have it.
CHANGE_TYPES: Options = {
    "profile.created": ("Created", "A profile began."),
    "profile.updated": ("Updated", "Values, the user or the consents of a profile changed."),
    "profile.merged": ("Merged", "Two profiles became one. One of the two ids means the other profile now."),
    "profile.split": ("Split", "A profile became several. The change says which id means which one now."),
    "profile.erased": ("Erased", "A profile was erased. Erase it in your system, too."),
}
_ALL: Mapping[str, str] = {
    word: name
    for options in (VALUE_TYPES, MERGE_STRATEGIES, OTHER_STRATEGIES, MUTABILITIES)
    for word, (name, _) in options.items()
}


def name_of(word: str) -> str:
    """What a value type, merge strategy or mutability is called on pages."""
    return _ALL.get(word, word)
