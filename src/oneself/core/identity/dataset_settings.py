"""The choices of a dataset."""

from typing import Literal

import msgspec

from oneself.core.units import MILLISECOND_US


class DatasetSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The choices of a dataset (wire/interactions §3). `resolves_since`: the seq of the change that turned
    identity resolution on, 0 if it always was; tokens sealed before are void (§11)."""

    label: str = ""
    pipeline_identity_resolution: bool = True
    identity_trust: Literal["timestamp", "tiered"] = "timestamp"
    merged_anonymous: Literal["follow", "fresh"] = "follow"
    visit_timeout_millis: int = 30 * 60 * 1000
    enable_remember_me_user_ids: bool = False
    remember_me_user_ids_millis: int = 730 * 24 * 3600 * 1000
    allowed_origins: tuple[str, ...] = ()
    resolves_since: int = 0
    #: User attribute → "Sensitive", "PersonallyIdentifiable" or "NonSensitive" where somebody said so.
    classifications: dict[str, str] = {}

    @property
    def visit_timeout_us(self) -> int:
        """The longest pause within a visit, in µs."""
        return self.visit_timeout_millis * MILLISECOND_US

    @property
    def remember_me_user_ids_us(self) -> int:
        """How long a token is good where users are remembered, in µs."""
        return self.remember_me_user_ids_millis * MILLISECOND_US
