"""The settings of a dataset that an operator chooses, and which values are valid.

Source: docs/wire/interactions.md §3, §14.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.errors import InvalidInput

#: The settings that an operator chooses, in the order in which they are listed.
FIELDS = (
    "label",
    "pipeline_identity_resolution",
    "identity_trust",
    "merged_anonymous",
    "channel_identity_conflict",
    "default_view",
    "asserted_merges",
    "report_joins",
    "visit_timeout_millis",
    "enable_remember_me_user_ids",
    "remember_me_user_ids_millis",
    "allowed_origins",
)
#: Name of a setting → field.
_FIELD_OF = dict(
    zip(DatasetSettings.__struct_encode_fields__, DatasetSettings.__struct_fields__, strict=True)
)
LABEL_CHARS_MAX = 100
DAY_MILLIS = 24 * 3600 * 1000
#: Inclusive, in ms. A visit ends within a day; a token is valid for ten years at most.
BETWEEN = {
    "visit_timeout_millis": (60 * 1000, DAY_MILLIS),
    "remember_me_user_ids_millis": (DAY_MILLIS, 3650 * DAY_MILLIS),
}
ORIGINS_MAX = 100
_HINTS = get_type_hints(DatasetSettings)
CHOICES = {
    name: get_args(_HINTS[name])
    for name in (
        "identity_trust",
        "merged_anonymous",
        "channel_identity_conflict",
        "default_view",
        "asserted_merges",
        "report_joins",
    )
}
OWN_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)


def list_settings(settings: DatasetSettings) -> dict[str, Any]:
    """The settings that an operator chooses, by name."""
    return {name: getattr(settings, _FIELD_OF[name]) for name in FIELDS}


def change_settings(settings: DatasetSettings, changes: Mapping[str, Any]) -> DatasetSettings:
    """The settings with changes by name."""
    return msgspec.structs.replace(settings, **{_FIELD_OF[name]: value for name, value in changes.items()})


def validated_settings(settings: DatasetSettings) -> DatasetSettings:
    """The same settings; raises InvalidInput for the first invalid one."""
    if len(settings.label) > LABEL_CHARS_MAX or not settings.label.isprintable():
        raise invalid_setting("label", f"label has at most {LABEL_CHARS_MAX} printable characters.")
    for name, words in CHOICES.items():
        if getattr(settings, _FIELD_OF[name]) not in words:
            raise invalid_setting(name, f"{name} is one of: {', '.join(words)}.")
    for name, (least, most) in BETWEEN.items():
        if not least <= getattr(settings, _FIELD_OF[name]) <= most:
            raise invalid_setting(name, f"{name} is between {least} and {most} milliseconds.")
    if len(settings.allowed_origins) > ORIGINS_MAX:
        raise invalid_setting("allowed_origins", f"At most {ORIGINS_MAX} allowed_origins.")
    for origin in settings.allowed_origins:
        if not is_origin(origin):
            sentence = (
                f"{origin[:100]!r} is no origin; write it as https://shop.example or http://localhost:3000."
            )
            raise invalid_setting("allowed_origins", sentence)
    return settings


def is_origin(text: str) -> bool:
    """Whether a browser could send this as `Origin`: scheme, host, and port unless it is the scheme's own."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return False
    port = match["port"]
    return port is None or (0 < int(port) < 65_536 and int(port) != OWN_PORTS[match["scheme"]])


def invalid_setting(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(field, sentence)
