"""Changes of settings that may join or part stored profiles: confirmed beneath their preview.

    form ─▶ may it concern stored profiles? ─ no ─▶ stored
                     │ yes
                     ▼
          preview, with what was entered ─▶ confirmed ─▶ stored, if no setting has changed since
                     ▲                          │ a setting has changed
                     └──────────────────────────┘

Invariants: the preview is that of `service.preview`, with the change as its use-case plans it. A confirmation
names the versions of the configurations that the preview read, and the use-case stores nothing on others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from litestar import Response

from oneself.console.change_outcome import ChangeOutcome, outcome_of
from oneself.console.context import ConsoleContext
from oneself.console.formats import api_request
from oneself.console.forms import FORM_FIELD, first, page
from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config
from oneself.errors import PreconditionFailed
from oneself.service.configuration import PlannedChange, Versions
from oneself.service.context import DatasetRef
from oneself.service.identity.attributes import ConfirmationRequired
from oneself.web.csrf import CSRF_FIELD
from oneself.web.forms import Parameters

#: Names the versions that a preview read; the datasets that it was shown of, with blanks between them; what
#: confirms the merges of a binding.
REVIEWED, SEEN, CONFIRMATION = "reviewed", "seen", "confirmation"
_OWN_FIELDS = (CSRF_FIELD, FORM_FIELD, REVIEWED, SEEN, CONFIRMATION)
VERSION_BYTES = 16
#: How a change that is previewed is carried out.
IN_BACKGROUND = "New observations follow the change at once. Stored profiles follow in the background."


class DatasetChange(msgspec.Struct, frozen=True):
    """A change in one dataset."""

    dataset_ref: DatasetRef
    planned: PlannedChange


class ReviewTexts(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of a preview says. `request`: the body of the same preview in the REST interface; None if
    it may be too long for a page.
    """

    section: str
    heading: str
    button: str
    cancel: str
    notes: tuple[str, ...] = ()
    request: dict[str, Any] | None = None


class ReviewNeeded(Exception):
    """The change was not confirmed, or on another configuration than the present one; nothing is stored.

    `form`: what was entered. `is_stale`: whether it was confirmed. `seen`: the datasets that were previewed
    so far. `others`: how many are still to be previewed. `absorbed`: how many profiles of the view `all` the
    change of a binding absorbs, if it was counted.
    """

    def __init__(
        self,
        form: Parameters,
        version: str,
        *,
        is_stale: bool,
        outcomes: list[ChangeOutcome],
        seen: set[str],
        others: int,
        unconfirmed: ConfirmationRequired | None,
    ) -> None:
        super().__init__()
        self.fields = [
            (name, value) for name, values in form.items() if name not in _OWN_FIELDS for value in values
        ]
        self.is_stale = is_stale
        self.version = version
        self.outcomes = outcomes
        self.seen = " ".join(sorted(seen))
        self.others = others
        #: Beside those that are shown.
        self.unaffected = [item.dataset for item in outcomes if item.is_unaffected and len(outcomes) > 1]
        self.confirmation = unconfirmed.confirmation if unconfirmed else ""
        self.absorbed = unconfirmed.preview.profiles_absorbed if unconfirmed else None


async def reviewed(
    context: ConsoleContext,
    form: Parameters,
    changes: Sequence[DatasetChange],
    *,
    is_always: bool = False,
    unconfirmed: ConfirmationRequired | None = None,
) -> Versions:
    """The versions of the configurations that a change may be made on.

    `is_always`: whether it is previewed even if it concerns no stored profile. `unconfirmed`: what the change
    of a binding still requires. Raises ReviewNeeded, and what the change itself would raise.
    """
    configurations, previews = context.services.configurations, context.services.rules.change_previews
    refs = [change.dataset_ref for change in changes]
    versions = {ref.dataset_id: (await configurations.current(ref.dataset_id)).version for ref in refs}
    concerned = [item for item in changes if await previews.may_concern(item.dataset_ref, [item.planned])]
    if not concerned and not is_always:
        return versions
    version = _version_of(versions)
    is_current = first(form, REVIEWED) == version and unconfirmed is None
    seen = set(first(form, SEEN).split()) if is_current else set[str]()
    unseen = [item for item in concerned or changes[:1] if item.dataset_ref.dataset not in seen]
    if is_current and not unseen:
        return versions
    outcomes = await _previewed(context, unseen)
    raise ReviewNeeded(
        form,
        version,
        is_stale=bool(first(form, REVIEWED)) and not is_current,
        outcomes=outcomes,
        seen=seen.union(outcome.dataset for outcome in outcomes),
        others=len(unseen) - len(outcomes),
        unconfirmed=unconfirmed,
    )


async def _previewed(context: ConsoleContext, changes: Sequence[DatasetChange]) -> list[ChangeOutcome]:
    """The previews of changes, one at least, as far as there is time."""
    previewed = await context.services.rules.change_previews.preview_several(
        [(item.dataset_ref, item.planned) for item in changes]
    )
    return [await outcome_of(context, dataset_ref, found) for dataset_ref, found in previewed]


def review_page(context: ConsoleContext, needed: ReviewNeeded, texts: ReviewTexts) -> Response[Any]:
    """The preview of a change, with what was entered, to be confirmed."""
    dataset = needed.outcomes[0].dataset
    return page(
        context,
        "change_review.html",
        status=409 if needed.is_stale else 200,
        needed=needed,
        texts=texts,
        own_fields={REVIEWED: needed.version, SEEN: needed.seen, CONFIRMATION: needed.confirmation},
        api=api_request(context, f"datasets/{dataset}/preview", texts.request) if texts.request else "",
    )


def unless_changed(planned: PlannedChange, version: str, part: Callable[[Config], Any]) -> PlannedChange:
    """The change of a part of a configuration that its author saw.

    `version`: its fingerprint. Raises PreconditionFailed when it is decided on another one.
    """

    def decide(config: Config) -> ConfigChange | None:
        if fingerprint(part(config)) != version:
            raise PreconditionFailed
        return planned.decide(config)

    return PlannedChange(decide, planned.also)


def fingerprint(item: Any) -> str:
    """A text that is another one as soon as anything of a setting is, for the form that changes it."""
    encoded = msgspec.json.encode(item, order="deterministic")
    return blake2b(encoded, digest_size=VERSION_BYTES).hexdigest()


def _version_of(versions: Versions) -> str:
    return fingerprint(sorted(versions.items()))
