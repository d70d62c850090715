"""What each kind of observation may do: one table, read by `resolve`, `fold`, `footprint` and the write path.

A row is for a kind, or for a kind that came through one interface. docs/concepts/observations.md shows the
table; a test compares the two.

Invariants: nothing outside this module and `observation` checks a kind, a class or an interface.

Source: docs/concepts/resolution.md, docs/wire/interactions.md §9, docs/wire/cds.md §5, §12.
"""

from typing import Literal

import msgspec

from oneself.core.resolution.observation import (
    ClaimsReport,
    ConsentChange,
    Envelope,
    PageEvent,
    ProfileWrite,
    Reindex,
    SignIn,
    SignOut,
    TrackerEnd,
)


class KindPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What observations of one row may do. The defaults are those of an application's write."""

    #: Whether it makes the person active, if it is interactive.
    makes_active: bool = True
    #: The state that is used to rank survivors and move devices: as of recording or of occurrence.
    state_as_of: Literal["recorded_at", "occurred_at"] = "recorded_at"
    #: How values are written. `application`: an invalid value rejects the observation. `identity_provider`:
    #: an invalid value is skipped. `event`: that, and a newer or more trusted value stays.
    values_policy: Literal["application", "identity_provider", "event"] = "application"
    #: The primary id of an anonymous profile that it creates: a generated one, or the id of its device.
    primary_id_policy: Literal["generated", "device"] = "generated"
    #: Who holds a contested value where a profile has one value: the newest claim, or the present holder.
    contested_value: Literal["newest", "holder"] = "newest"
    #: `respected`: it is rejected, or resolved without person identifiers, where the person opted out.
    #: `choice_only`: it stores a choice, merges nothing and claims nothing. `ignored`: no difference.
    opt_out: Literal["ignored", "respected", "choice_only"] = "ignored"
    #: Whether a replay applies its plan as recorded where an erasure could change the decision.
    replays_as_recorded: bool = False
    #: Whether a tracker that points at no profile gives way to a new one.
    replaces_ended_tracker: bool = False
    #: Whether the dataset decides if a device alone leads to a known person (`merged_anonymous`).
    follows_device_setting: bool = False
    #: What the id that it addresses names. `profile`: the profile with all that was merged into it; that of
    #: another user rejects the observation. `fragment`: only what began under the id; if it was merged into
    #: another user's profile, that profile stays as it is.
    addresses: Literal["profile", "fragment"] = "profile"
    #: What it ends. Then it resolves nothing.
    ends: Literal["nothing", "sign_in", "tracker"] = "nothing"
    #: Whether its identifiers are values that the addressed profile has stored already.
    reads_stored_values: bool = False
    #: Whether a full look-up may be skipped if a persisted token names all its identifiers.
    token_fast_path: bool = False
    #: What the response contains.
    answer: Literal["profile", "visit"] = "profile"
    #: What it says to the identity graph. `word`: something about the person or browser that it names.
    graph_effect: Literal[
        "word", "sign_in", "report", "sign_out", "tracker_end", "claims", "consent", "reindex"
    ] = "word"


_PAGE_EVENT = KindPolicy(
    state_as_of="occurred_at",
    values_policy="event",
    contested_value="holder",
    opt_out="respected",
    replays_as_recorded=True,
    replaces_ended_tracker=True,
    follows_device_setting=True,
    token_fast_path=True,
    answer="visit",
)
_CLAIMS = KindPolicy(values_policy="identity_provider", graph_effect="claims")

#: Kind → interface → row; None: every other interface.
KINDS: dict[str, dict[str | None, KindPolicy]] = {
    PageEvent.kind: {
        "interactions": msgspec.structs.replace(_PAGE_EVENT, primary_id_policy="device"),
        None: _PAGE_EVENT,
    },
    ProfileWrite.kind: {None: KindPolicy()},
    SignIn.kind: {
        "sync": msgspec.structs.replace(_CLAIMS, addresses="fragment", graph_effect="report"),
        None: msgspec.structs.replace(_CLAIMS, addresses="fragment", graph_effect="sign_in"),
    },
    SignOut.kind: {None: KindPolicy(ends="sign_in", graph_effect="sign_out")},
    TrackerEnd.kind: {None: KindPolicy(makes_active=False, ends="tracker", graph_effect="tracker_end")},
    ClaimsReport.kind: {None: msgspec.structs.replace(_CLAIMS, makes_active=False)},
    ConsentChange.kind: {
        "interactions": KindPolicy(
            values_policy="event",
            opt_out="choice_only",
            replaces_ended_tracker=True,
            graph_effect="consent",
        ),
        None: KindPolicy(graph_effect="consent"),
    },
    Reindex.kind: {None: KindPolicy(makes_active=False, reads_stored_values=True, graph_effect="reindex")},
}


def policy_of(observation: Envelope) -> KindPolicy:
    """The row of an observation."""
    rows = KINDS[observation.kind]
    return rows[observation.interface] if observation.interface in rows else rows[None]
