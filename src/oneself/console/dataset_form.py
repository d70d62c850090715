"""The form of a dataset: what its fields mean, each as a text.

Invariants: no decisions about datasets; `service.schema.datasets` decides. What the form leaves as it is, is
not changed, whatever the precision in which the page shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from oneself.console.forms import first
from oneself.console.identity_words import CHOICES, SETTINGS
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.errors import InvalidInput
from oneself.service.schema.dataset_settings import BETWEEN, DAY_MILLIS, list_settings
from oneself.web.forms import Parameters

#: By the name of the setting; of a switch `yes` or empty.
Texts = dict[str, str]
LASTING_TOKENS = "enable_remember_me_user_ids"
ORIGINS = "allowed_origins"
#: Setting → the unit in which people enter it, in ms, and its name.
UNITS: Mapping[str, tuple[int, str]] = {
    "visit_timeout_millis": (60_000, "minutes"),
    "remember_me_user_ids_millis": (DAY_MILLIS, "days"),
}
_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")


def texts_of(settings: DatasetSettings) -> Texts:
    """The form that changes stored settings."""
    known = list_settings(settings)
    texts = {name: str(known[name]) for name in ("label", *SETTINGS)}
    texts |= {name: f"{(Decimal(known[name]) / unit).normalize():f}" for name, (unit, _) in UNITS.items()}
    return texts | {
        LASTING_TOKENS: "yes" if known[LASTING_TOKENS] else "",
        ORIGINS: "\n".join(known[ORIGINS]),
    }


def read_texts(form: Parameters, stored: Texts) -> Texts:
    """The fields of a form; those that it lacks are as they are stored. A switch that it lacks is off."""
    texts = {name: first(form, name) if name in form else text for name, text in stored.items()}
    return texts | {LASTING_TOKENS: first(form, LASTING_TOKENS), ORIGINS: "\n".join(texts[ORIGINS].split())}


def changes_of(stored: Texts, texts: Texts) -> dict[str, Any]:
    """The settings that differ from the stored ones, by name. Raises InvalidInput."""
    found: dict[str, Any] = {name: text for name, text in texts.items() if text != stored[name]}
    for name in UNITS.keys() & found.keys():
        found[name] = _millis(name, texts[name])
    if LASTING_TOKENS in found:
        found[LASTING_TOKENS] = texts[LASTING_TOKENS] == "yes"
    if ORIGINS in found:
        found[ORIGINS] = tuple(dict.fromkeys(texts[ORIGINS].split()))
    return found


def facts_of(texts: Texts) -> dict[str, tuple[str, str]]:
    """By setting: what it is called, and its value in words."""
    words = {
        name: (label, CHOICES[name].get(texts[name], ("", ""))[0]) for name, (label, _) in SETTINGS.items()
    }
    days = texts["remember_me_user_ids_millis"]
    return {
        "label": ("Label", texts["label"] or "none"),
        **words,
        "visit_timeout_millis": (
            "A visit ends after",
            f"{texts['visit_timeout_millis']} minutes without an event",
        ),
        LASTING_TOKENS: (
            "Browsers are recognised",
            "also after the visit" if texts[LASTING_TOKENS] else "within a visit",
        ),
        "remember_me_user_ids_millis": ("They are recognised for", f"{days} days"),
        ORIGINS: ("Allowed origins", ", ".join(texts[ORIGINS].split()) or "any"),
    }


def _millis(name: str, text: str) -> int:
    unit, plural = UNITS[name]
    least, most = (amount // unit for amount in BETWEEN[name])
    if not _AMOUNT.fullmatch(text) or not least <= Decimal(text) <= most:
        raise InvalidInput(name, f"Enter {least} to {most} {plural}.")
    return int(Decimal(text) * unit)
