"""The settings of a dataset that resolution and the fold read.

Invariants: the names of stored fields never change, even if the Python names do.

Source: docs/wire/interactions.md §3, §7, §11.
"""

from typing import Literal

import msgspec

from oneself.core.identity.identifier import COMPARISON_FIRST, COMPARISON_SINCE_PLACEHOLDERS
from oneself.core.units import MILLISECOND_US


class DatasetSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of a dataset.

    The defaults are those of stored settings without the field; `NEW_DATASET` has those of a new dataset.
    """

    label: str = ""
    #: Whether identities are resolved; without it the named id of a user is the primary id.
    resolves_identities: bool = msgspec.field(default=True, name="pipeline_identity_resolution")
    #: Which of two values of an identity wins: the newer one, or the more trusted one and then the newer.
    identity_trust: Literal["timestamp", "tiered"] = "timestamp"
    #: Whether a device alone resolves to the known person who last used it, or starts a new visitor.
    merged_anonymous: Literal["follow", "fresh"] = "follow"
    #: Whether two values of what `user.id` stands for are two people, or the newer one replaces the other.
    channel_identity_conflict: Literal["keep_apart", "replace"] = "replace"
    #: What an application that names no view reads (docs/concepts/trust.md, "Views").
    default_view: Literal["own", "proven", "all"] = "proven"
    #: Which two profiles of whom a server or a sign-in said who they are an identity joins that a page only
    #: asserts: none, those without a user, or any.
    asserted_merges: Literal["unprotected", "all", "unrestricted"] = "unrestricted"
    #: When a report of an identity server joins browser and user: at once, or when the user confirms it.
    report_joins: Literal["at_once", "confirmed"] = "at_once"
    #: The longest pause within a visit, in ms.
    visit_timeout_ms: int = msgspec.field(default=30 * 60 * 1000, name="visit_timeout_millis")
    #: Whether a persisted token is valid beyond its visit.
    tokens_outlive_visits: bool = msgspec.field(default=False, name="enable_remember_me_user_ids")
    #: How long a token is valid if it outlives its visit, in ms.
    token_lifetime_ms: int = msgspec.field(default=730 * 24 * 3600 * 1000, name="remember_me_user_ids_millis")
    #: Origins from which browsers may send events; empty for any.
    allowed_origins: tuple[str, ...] = ()
    #: The seq of the change that turned identity resolution on, 0 if it always was; older tokens are void.
    resolves_since: int = 0
    #: How identifiers are compared (`identifier.COMPARISON_FIRST`). The service sets it.
    comparison: int = COMPARISON_FIRST
    #: User attribute → "Sensitive", "PersonallyIdentifiable" or "NonSensitive" where an operator chose one.
    classifications: dict[str, str] = {}

    @property
    def guards_asserted_merges(self) -> bool:
        """Whether what is only asserted merges less than what is proven."""
        return self.asserted_merges != "unrestricted"

    @property
    def visit_timeout_us(self) -> int:
        """The longest pause within a visit, in µs."""
        return self.visit_timeout_ms * MILLISECOND_US

    @property
    def token_lifetime_us(self) -> int:
        """How long a token is valid if it outlives its visit, in µs."""
        return self.token_lifetime_ms * MILLISECOND_US


NEW_DATASET = DatasetSettings(
    identity_trust="tiered",
    channel_identity_conflict="keep_apart",
    default_view="all",
    asserted_merges="all",
    comparison=COMPARISON_SINCE_PLACEHOLDERS,
)
#: The settings of an organisation's dataset `default`, in which persons read their own profiles.
NEW_DEFAULT_DATASET = msgspec.structs.replace(
    NEW_DATASET, default_view="proven", asserted_merges="unprotected"
)
