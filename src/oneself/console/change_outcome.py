"""What a change would do to the stored profiles of a dataset, as pages show it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.console.context import ConsoleContext
from oneself.console.preview_samples import (
    REFUSALS_MAX,
    SAMPLES_MAX,
    SIDES_MAX,
    SampledMerge,
    sampled_merge,
    shared_text,
)
from oneself.console.profile_search import profile_url
from oneself.core.config.configuration import Config
from oneself.core.identity_graph.joins import VIEWS
from oneself.service.context import DatasetRef
from oneself.service.explain.sentences import CAUSES, EVIDENCE
from oneself.service.preview.outcome import (
    PreviewedJoin,
    PreviewedJoinRefusal,
    ViewMerge,
    ViewParting,
    ViewPreview,
)
from oneself.service.preview.previews import ChangePreview


class SampledParting(msgspec.Struct, frozen=True):
    """A profile that would come apart into so many, and why."""

    url: str
    profile_id: UUID
    parts: int
    causes: list[str]


class SampledSeparation(msgspec.Struct, frozen=True):
    """Two profiles that would stay apart, and why. The URLs are equal if it concerns one alone."""

    one_url: str
    other_url: str
    cause: str


class ChangeOutcome(msgspec.Struct, frozen=True):
    """A preview in one dataset. `views`: the narrowest first. The lists are those of the widest view that has
    any.
    """

    dataset: str
    profiles_examined: int
    is_complete: bool
    views: list[ViewPreview]
    merges: list[SampledMerge]
    partings: list[SampledParting]
    separations: list[SampledSeparation]

    @property
    def is_empty(self) -> bool:
        """Whether nothing happens to those that were examined."""
        return all(view.is_empty for view in self.views)

    @property
    def is_unaffected(self) -> bool:
        """Whether nothing happens to anybody."""
        return self.is_empty and self.is_complete


async def outcome_of(context: ConsoleContext, dataset_ref: DatasetRef, found: ChangePreview) -> ChangeOutcome:
    """The counts of a preview, and samples of what is in it."""
    at = msgspec.structs.replace(context, chosen_ref=dataset_ref)
    config = await at.config()
    widest = [found.views[view] for view in reversed(VIEWS)]
    merges = next((view.merges for view in widest if view.merges), ())
    partings = next((view.parted for view in widest if view.parted), ())
    refusals = next((view.refusals for view in widest if view.refusals), ())
    reported = {item for parting in partings[:SAMPLES_MAX] for item in parting.refusals}
    others = [item for item in refusals if item not in reported]
    return ChangeOutcome(
        dataset_ref.dataset,
        found.profiles_examined,
        found.is_complete,
        [found.views[view] for view in VIEWS],
        [await _merge(at, config, item) for item in merges[:SAMPLES_MAX]],
        [_parting(at, config, item) for item in partings[:SAMPLES_MAX]],
        [_separation(at, config, item) for item in others[:REFUSALS_MAX]],
    )


async def _merge(context: ConsoleContext, config: Config, merge: ViewMerge) -> SampledMerge:
    causes = dict.fromkeys(_joined(config, join) for join in merge.joins)
    ids = [merge.survivor, *merge.absorbed]
    return await sampled_merge(context, config, list(causes)[:SIDES_MAX], ids)


def _joined(config: Config, join: PreviewedJoin) -> str:
    if join.identifier is None:
        return EVIDENCE[join.evidence] if join.evidence is not None else join.reason
    shared = shared_text(config, join.identifier) or f"{join.identifier.namespace}, a hidden value"
    return f"{shared} ({EVIDENCE[join.evidence]})" if join.evidence is not None else shared


def _parting(context: ConsoleContext, config: Config, parting: ViewParting) -> SampledParting:
    causes = dict.fromkeys(_cause(config, item) for item in parting.refusals)
    url = profile_url(context, parting.profile_id)
    return SampledParting(url, parting.profile_id, len(parting.groups), list(causes))


def _separation(context: ConsoleContext, config: Config, item: PreviewedJoinRefusal) -> SampledSeparation:
    one, other = (profile_url(context, profile_id) for profile_id in (item.profile_id, item.other_id))
    return SampledSeparation(one, other, _cause(config, item))


def _cause(config: Config, item: PreviewedJoinRefusal) -> str:
    sentence = CAUSES.get(item.code, item.code).format(namespace=item.namespace, rule=item.namespace)
    shared = shared_text(config, item.identifier)
    return f"Both have {shared}. {sentence}" if shared else sentence
