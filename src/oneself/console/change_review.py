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

#: Names the versions that a preview read; the dataset to look at; what confirms the merges of a binding.
REVIEWED, LOOK, CONFIRMATION = "reviewed", "look", "confirmation"
_OWN_FIELDS = (CSRF_FIELD, FORM_FIELD, REVIEWED, LOOK, CONFIRMATION)
#: In how many datasets a page previews a change at once; the others are asked for one by one.
DATASETS_MAX = 3
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
    """The change was not confirmed, or another configuration than the present one was; nothing is stored.

    `form`: what was entered. `is_stale`: whether it was confirmed. `others`: datasets that it may concern as
    well. `absorbed`: how many profiles of the view `all` the change of a binding absorbs, if it was counted.
    """

    def __init__(
        self,
        form: Parameters,
        version: str,
        outcomes: list[ChangeOutcome],
        others: list[str],
        unconfirmed: ConfirmationRequired | None,
    ) -> None:
        super().__init__()
        self.fields = [
            (name, value) for name, values in form.items() if name not in _OWN_FIELDS for value in values
        ]
        self.is_stale = _is_stale(form, version)
        self.version = version
        self.outcomes = outcomes
        self.others = others
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
    if first(form, REVIEWED) == version and not first(form, LOOK) and unconfirmed is None:
        return versions
    listed = concerned or list(changes[:1])
    chosen = "" if _is_stale(form, version) else first(form, LOOK)
    visible = [item for item in listed if item.dataset_ref.dataset == chosen] or listed[:DATASETS_MAX]
    outcomes = [
        await outcome_of(context, item.dataset_ref, await previews.preview(item.dataset_ref, [item.planned]))
        for item in visible
    ]
    others = [item.dataset_ref.dataset for item in listed if item not in visible]
    raise ReviewNeeded(form, version, outcomes, others, unconfirmed)


def review_page(context: ConsoleContext, needed: ReviewNeeded, texts: ReviewTexts) -> Response[Any]:
    """The preview of a change, with what was entered, to be confirmed."""
    dataset = needed.outcomes[0].dataset
    return page(
        context,
        "change_review.html",
        status=409 if needed.is_stale else 200,
        needed=needed,
        texts=texts,
        own_fields={"reviewed": REVIEWED, "look": LOOK, "confirmation": CONFIRMATION},
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


def _is_stale(form: Parameters, version: str) -> bool:
    """Whether a form confirms something else than a preview of these versions shows."""
    return bool(first(form, REVIEWED)) and not (first(form, LOOK) and first(form, REVIEWED) == version)


def fingerprint(item: Any) -> str:
    """A text that is another one as soon as anything of a setting is, for the form that changes it."""
    return blake2b(msgspec.json.encode(item), digest_size=VERSION_BYTES).hexdigest()


def _version_of(versions: Versions) -> str:
    return fingerprint(sorted(versions.items()))
