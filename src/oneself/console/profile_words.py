"""What views, evidence, interfaces and steps of a profile's history are called on pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneself.console.words import Options
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.service.explain.sentences import CAUSES, DECIDED
from oneself.service.explain.values import ExplainedCause, ExplainedJoin
from oneself.service.history.entries import (
    ConsentStep,
    Creation,
    DecisionStep,
    HistoryEntry,
    HistoryMerge,
    HistoryRefusal,
    Promotion,
    ValueStep,
    Verification,
)
from oneself.service.profiles.search import leaves

VIEWS: Options = {
    "own": ("Own", "What the person themselves own: proven to be of one user, or of one browser."),
    "proven": ("Proven", "Everything that servers and sign-ins said of the person. Applications read this."),
    "all": ("All", "Everything that the business believes, also what pages said without proof."),
}
#: How far a claim or a value is trusted.
TRUST: Mapping[str, str] = {"server": "proven", "browser": "asserted", "verified": "verified"}
INTERFACES: Mapping[str, str] = {
    "cds": "Customer Data Service",
    "interactions": "interactions events",
    "tracking": "tracking",
    "sign_in": "sign-in",
    "admin": "REST interface",
    "console": "console",
    "cli": "command line",
    "start": "start of the service",
    "import": "import",
}
REFUSALS: Mapping[str, str] = {
    "different_user": "two users are never merged",
    "blocked_value": "the value is blocked",
    "limit_exceeded": "a limit was reached",
    "untrusted_evidence": "a page said so, not a server",
    "split_kept_apart": "a person split them",
    "conflicting_identity": "different values keep people apart",
}


def trust_of(word: str) -> str:
    """How far a claim or value is trusted, in a word."""
    return TRUST.get(word, word)


def interface_of(word: str | None) -> str:
    """What an interface is called."""
    return INTERFACES.get(word or "", word or "")


def join_sentence(join: ExplainedJoin, value: str | None) -> str:
    """What two parts of a profile have in common. `value`: of the identifier; None: it may not be shown."""
    if join.identifier is not None:
        named = "a hidden value" if value is None else f"“{value}”"
        verb = "Both belong to" if join.evidence == "same_user" else "Both have"
        return f"{verb} {join.identifier.namespace} {named}"
    if join.evidence == "same_user":
        return "Both belong to the same user"
    return f"They {DECIDED.get(join.reason, 'were merged')}"


def cause_sentence(cause: ExplainedCause) -> str:
    """Why two profiles are not one."""
    known = CAUSES.get(cause.code, cause.code)
    return known.format(rule=cause.rule, namespace=cause.namespace, code=cause.code)


def addresses_in(values: dict[str, Any]) -> list[str]:
    """The e-mail addresses among the identity attributes of a profile."""
    known = (value for _, value in leaves(values.get(IDENTITY_ATTRIBUTES, {})))
    return [value for value in known if isinstance(value, str) and "@" in value]


def step_words(step: HistoryEntry) -> tuple[str, str]:
    """A step of a profile's history: what happened, and its details."""
    match step:
        case Creation():
            return "Profile began", str(step.profile_id)
        case Promotion():
            return "Became known", f"Until then it was called {step.alias}."
        case HistoryMerge():
            return (
                "Merged",
                f"{step.absorbed_id} became part of {step.survivor_id}, because of {step.reason}.",
            )
        case HistoryRefusal():
            return "Not merged", _refused(step)
        case Verification():
            return "Verified" if step.is_verified else "No longer verified", step.claim
        case ConsentStep():
            return ("Consented" if step.is_consented else "Declined"), step.category
        case DecisionStep():
            return ("Split by a person" if step.is_split else "Merged by a person"), _decision(step)
        case ValueStep():
            name = ".".join(step.path)
            if step.after is None:
                return "Value removed", name
            return ("Value set" if step.before is None else "Value changed"), name


def _refused(step: HistoryRefusal) -> str:
    other = f" with {step.other_id}" if step.other_id is not None else ""
    times = f" It happened {step.times} times." if step.times > 1 else ""
    about = f" (by {step.namespace})" if step.namespace else ""
    return f"A merge{other}{about} was refused: {REFUSALS.get(step.code, step.code)}.{times}"


def _decision(step: DecisionStep) -> str:
    reason = f" Reason: {step.reason}" if step.reason else ""
    gave_up = f" The account {step.gave_up} was given up." if step.gave_up else ""
    by = f"By {step.by}. " if step.by else ""
    verb = "It was parted into" if step.is_split else "These became one:"
    sides = ", ".join("1 part" if count == 1 else f"{count} parts" for count in step.sides)
    return f"{by}{verb} {sides}.{reason}{gave_up}"
