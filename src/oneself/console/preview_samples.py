"""Profiles of a preview as pages show them: some that would become one, side by side, as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from oneself.console.context import ConsoleContext
from oneself.console.formats import identifier_text
from oneself.console.profile_search import ProfileRow, profile_url, telling_values, title_of
from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.values.visibility import visible_values
from oneself.service.profiles.readable import is_readable

#: How many merges, profiles of one and refusals a page shows.
SAMPLES_MAX = 5
SIDES_MAX = 4
REFUSALS_MAX = 10


class SampledMerge(msgspec.Struct, frozen=True):
    """Profiles that a change would make one, side by side. `others`: how many more there are.

    `causes`: what joins them, in words; one alone is what all have.
    """

    causes: list[str]
    profiles: list[ProfileRow]
    others: int


async def sampled_merge(
    context: ConsoleContext, config: Config, causes: list[str], profile_ids: Sequence[UUID]
) -> SampledMerge:
    """Some of the profiles that would be one. `causes`: what joins them, in words."""
    rows = [await _row(context, config, item) for item in profile_ids[:SIDES_MAX]]
    return SampledMerge(causes, rows, max(0, len(profile_ids) - SIDES_MAX))


def shared_text(config: Config, identifier: Identifier | None) -> str:
    """Namespace and value of an identifier; empty if nobody may read it."""
    if identifier is None or not is_readable(identifier, config):
        return ""
    return identifier_text(identifier)


async def _row(context: ConsoleContext, config: Config, profile_id: UUID) -> ProfileRow:
    found = await context.services.profiles.lookup.find(context.dataset_ref, str(profile_id), "all")
    if found is None:
        return ProfileRow(profile_url(context, profile_id), str(profile_id), [])
    values = visible_values(config.schema, found.survivor.record.values)
    title = title_of(profile_id, found.survivor.user_id, values)
    return ProfileRow(
        profile_url(context, profile_id), title, telling_values(values), found.survivor.created_at
    )
