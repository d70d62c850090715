"""Turning identity resolution on for a dataset that was created without it.

Every named user gets a 24-hex primary id. The id that named them becomes the identity that a user id means on
the web, and an alias. Other identities begin to match, and every persisted token becomes invalid. The change
cannot be undone; it is previewed, and a reindex job carries it out in the background. Source:
docs/wire/interactions.md §11.
"""

from __future__ import annotations

import msgspec

from oneself.core.config.changes import ConfigChange, PutChannels, PutDatasetSettings, Several
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure, required_reindexing
from oneself.errors import Conflict, InvalidInput
from oneself.service.configuration import Configurations, PlannedChange, Versions
from oneself.service.context import ADMINISTRATOR, Actor, DatasetRef
from oneself.service.rules.preview import Preview, Previews

WEB = "Web"


class ResolutionSwitch:
    """Turns identity resolution on."""

    def __init__(self, configurations: Configurations, previews: Previews) -> None:
        self._configurations = configurations
        self._previews = previews

    async def preview(self, dataset_ref: DatasetRef, name: str | None) -> Preview:
        """What turning it on would do.

        `name`: the identity attribute that receives the former ids; None: the one that a user id means on the
        web. Raises InvalidInput if there is no such attribute, Conflict if resolution is on.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        change = _turned_on(config, name)
        return await self._previews.preview_change(
            dataset_ref, change, required_reindexing(config, configure(config, change, config.seq + 1))
        )

    async def enable(
        self,
        dataset_ref: DatasetRef,
        name: str | None,
        *,
        actor: Actor = ADMINISTRATOR,
        expected: Versions | None = None,
    ) -> None:
        """Turn it on; raises as `preview`, and PreconditionFailed.

        `expected`: as for `Configurations.change`.
        """
        await self._configurations.change(
            dataset_ref.dataset_id,
            lambda config: _turned_on(config, name),
            **actor.author,
            expected=expected,
        )


def plan_switch(name: str | None) -> PlannedChange:
    """Turn identity resolution on. Raises as `ResolutionSwitch.preview` when it is decided."""
    return PlannedChange(lambda config: _turned_on(config, name))


def _turned_on(config: Config, name: str | None) -> ConfigChange:
    if config.dataset.resolves_identities:
        raise Conflict("Identity resolution is already on in this dataset.", code="enabled")
    settings = msgspec.structs.replace(config.dataset, resolves_identities=True)
    channels = config.channels if name is None else {**config.channels, WEB: name}
    change = Several((PutDatasetSettings(settings), PutChannels(channels)))
    after = configure(config, change, config.seq + 1)
    default = after.channel_identity(WEB)
    if default is None or default.type_id not in after.bindings:
        sentence = (
            f"{name!r} is not a matching identity attribute of this dataset."
            if name is not None
            else "No identity attribute is the user id on the web."
        )
        advice = " Bind one to an identity type first, such as customerId."
        raise InvalidInput("attribute", sentence + advice)
    if after.bindings[default.type_id].namespace.trusted_only:
        sentence = (
            f"The type of {default.name!r} is trusted_only, but browsers reported the ids of the users here. "
            "Turn trusted_only off for this change, or choose another identity attribute."
        )
        raise Conflict(sentence, code="trusted_only")
    return change
