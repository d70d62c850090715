"""Turning identity resolution on for a dataset that did without it (wire/interactions §11).

Every named user gets a 24-hex primary id; the id that named them becomes the identity that `user.id` stands
for on the web, and an alias; what else identifies people begins to match; all tokens are void. One way,
previewed, and done in the background by the indexer, which goes on where it was interrupted.
"""

from __future__ import annotations

import msgspec

from oneself.core.config.changes import ConfigChange, PutChannels, PutDatasetSettings, Several
from oneself.core.config.configuration import Config, configure, required_reindexing
from oneself.errors import Conflict, InvalidInput
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.rules.preview import Preview, Previews

FACE = "admin"
WEB = "Web"


class ResolutionSwitch:
    """Moves a dataset over."""

    def __init__(self, configurations: Configurations, previews: Previews) -> None:
        self._configurations = configurations
        self._previews = previews

    async def preview(self, dataset_ref: DatasetRef, name: str | None) -> Preview:
        """What turning it on would do. `name`: the identity attribute that takes the former ids; None: the
        one that `user.id` stands for on the web already.

        Raises InvalidInput if there is none such, Conflict if it is on.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        change = _turned_on(config, name)
        return await self._previews.preview_change(
            dataset_ref, change, required_reindexing(config, configure(config, change, config.seq + 1))
        )

    async def enable(self, dataset_ref: DatasetRef, name: str | None) -> None:
        """Turn it on. Raises as `preview`."""
        await self._configurations.change(
            dataset_ref.dataset_id, lambda config: _turned_on(config, name), face=FACE
        )


def _turned_on(config: Config, name: str | None) -> ConfigChange:
    if config.dataset.pipeline_identity_resolution:
        raise Conflict("Identity resolution is on already in this dataset.", code="enabled")
    settings = msgspec.structs.replace(config.dataset, pipeline_identity_resolution=True)
    channels = config.channels if name is None else {**config.channels, WEB: name}
    change = Several((PutDatasetSettings(settings), PutChannels(channels)))
    after = configure(config, change, config.seq + 1)
    default = after.channel_identity(WEB)
    if default is None or default.type_id not in after.bindings:
        sentence = (
            f"{name!r} is no identity attribute of this dataset that can match."
            if name is not None
            else "user.id stands for nothing on the web yet."
        )
        advice = " Bind one first: oneself dataset attributes DATASET --bind customerId"
        raise InvalidInput("attribute", sentence + advice)
    if after.bindings[default.type_id].namespace.trusted_only:
        sentence = (
            f"{default.name!r} is of a type that is trusted_only, and browsers said by which ids users are "
            "named here. Let it go for the move, or choose another identity attribute."
        )
        raise Conflict(sentence, code="trusted_only")
    return change
