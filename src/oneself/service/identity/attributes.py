"""Identity attributes and channels of a dataset: bound at once, applied to profiles in the background.

    change ─▶ would it change profiles? ─ no ─▶ applied
                    │ yes
                    ▼
              preview + confirmation ─▶ the same change, confirmed ─▶ applied, reindexed in the background

Invariants: a change that would merge profiles is previewed before it is made. A confirmation is valid for one
change of one version of the configuration and for the number of profiles that it would merge. Source:
docs/wire/interactions.md §3.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from oneself.core.config.changes import ConfigChange, PutIdentityType, Several
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity.identity_type import IdentityBinding
from oneself.errors import Conflict, Contended
from oneself.service.configuration import Configurations, PlannedChange, Versions
from oneself.service.context import ADMINISTRATOR, Actor, DatasetRef
from oneself.service.rules.preview import Preview, Previews
from oneself.service.schema.identity_bindings import Binding, effective_channels, rebind
from oneself.store.database import Database
from oneself.store.transaction import Tables, Transaction

#: Profiles change while an operator reads a preview; a hundredth more or less is the same decision.
TOLERANCE = 0.01


class ConfirmationRequired(Conflict):
    """The change would merge profiles and is not confirmed; nothing was changed.

    `preview`: what it would do. `confirmation`: what confirms it.
    """

    def __init__(self, preview: Preview, confirmation: str) -> None:
        sentence = f"This would absorb {preview.profiles_absorbed} profiles; nothing was changed."
        super().__init__(sentence, code="unconfirmed")
        self.preview = preview
        self.confirmation = confirmation


class IdentityBindings:
    """The use-cases of identity attributes and channels."""

    def __init__(self, database: Database, configurations: Configurations, previews: Previews) -> None:
        self._database = database
        self._configurations = configurations
        self._previews = previews

    async def put(
        self, dataset_ref: DatasetRef, bindings: Sequence[Binding], confirmation: str | None = None
    ) -> list[IdentityBinding]:
        """Bind exactly these. Raises InvalidInput, Conflict, ConfirmationRequired."""
        return _listed(await self.change(dataset_ref, bindings, None, confirmation))

    async def list(self, dataset_ref: DatasetRef) -> list[IdentityBinding]:
        """Every binding, by name."""
        return _listed(await self._configurations.current(dataset_ref.dataset_id))

    async def channels(self, dataset_ref: DatasetRef) -> dict[str, str]:
        """Channel → name of the identity that a user id means there."""
        return effective_channels(await self._configurations.current(dataset_ref.dataset_id))

    async def put_channels(
        self, dataset_ref: DatasetRef, channels: Mapping[str, str | None], confirmation: str | None = None
    ) -> dict[str, str]:
        """Make the channels exactly these; an absent one or None is the default.

        Raises InvalidInput, Conflict, ConfirmationRequired.
        """
        return effective_channels(await self.change(dataset_ref, None, channels, confirmation))

    async def change(
        self,
        dataset_ref: DatasetRef,
        bindings: Sequence[Binding] | None,
        channels: Mapping[str, str | None] | None,
        confirmation: str | None = None,
        *,
        actor: Actor = ADMINISTRATOR,
        expected: Versions | None = None,
    ) -> Config:
        """Change bindings and channels at once; None leaves one of them as it is.

        `expected`: as for `Configurations.change`. Raises as `put`, PreconditionFailed, and Contended if the
        configuration was changed meanwhile.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        change = rebind(config, bindings, channels, lambda: str(uuid.uuid4()))
        if change is None:
            return config
        unconfirmed = await self._unconfirmed(dataset_ref, config, change, confirmation)
        if unconfirmed is not None:
            raise unconfirmed

        def decide(now: Config) -> ConfigChange:
            if now.version != config.version:
                raise Contended("The configuration was changed at the same time.")
            return change

        async def index(transaction: Transaction, after: Config) -> None:
            await _move_jobs(transaction, config, after)

        return await self._configurations.change(
            dataset_ref.dataset_id, decide, **actor.author, also=index, expected=expected
        )

    async def required_confirmation(
        self,
        dataset_ref: DatasetRef,
        bindings: Sequence[Binding] | None,
        channels: Mapping[str, str | None] | None,
        confirmation: str | None = None,
    ) -> ConfirmationRequired | None:
        """What `change` would raise for want of a confirmation; None: it needs none, or this is it.

        Raises InvalidInput, Conflict.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        change = rebind(config, bindings, channels, lambda: str(uuid.uuid4()))
        if change is None:
            return None
        return await self._unconfirmed(dataset_ref, config, change, confirmation)

    async def preview(
        self,
        dataset_ref: DatasetRef,
        bindings: Sequence[Binding] | None,
        channels: Mapping[str, str | None] | None,
        types: tuple[PutIdentityType, ...] = (),
    ) -> Preview | None:
        """What `change` would require to be confirmed, given these types too; None if it would require
        nothing.

        Raises InvalidInput, Conflict.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        typed = configure(config, Several(types), config.seq)
        change = rebind(typed, bindings, channels, lambda: str(uuid.uuid4()))
        if change is None:
            return None
        after = configure(typed, change, config.seq + 1)
        linked = _linked(config, after)
        if not await self._concerns(dataset_ref.dataset_id, config, after, linked):
            return None
        full_change = Several((*types, *change.changes))
        return await self._previews.preview_change(
            dataset_ref, full_change, {source.source_id for source in linked}
        )

    async def _unconfirmed(
        self, dataset_ref: DatasetRef, config: Config, change: ConfigChange, confirmation: str | None
    ) -> ConfirmationRequired | None:
        """None if the change merges no profiles or is confirmed."""
        after = configure(config, change, config.seq + 1)
        linked = _linked(config, after)
        if not await self._concerns(dataset_ref.dataset_id, config, after, linked):
            return None
        preview = await self._previews.preview_change(
            dataset_ref, change, {source.source_id for source in linked}
        )
        if confirmation is not None and _confirms(confirmation, dataset_ref, config, after, preview):
            return None
        return ConfirmationRequired(
            preview, _confirmation(dataset_ref, config, after, preview.profiles_absorbed)
        )

    async def _concerns(
        self, dataset_id: int, before: Config, after: Config, linked: Sequence[IdentifierSource]
    ) -> bool:
        """Whether a change concerns any profile.

        It does if a profile has a value of a linked attribute or of one that was linked before, or if there
        is any profile while a channel changes.
        """
        profiles = Tables(self._database, dataset_id).profiles
        moved = [before.bindings[source.name] for source in linked if source.name in before.bindings]
        for source in (*linked, *moved):
            if await profiles.holds_value(source.scope, source.keys[0]):
                return True
        if not before.channels and not after.channels:
            return False
        is_other = before.channels != after.channels and after.dataset.resolves_identities
        return is_other and await profiles.exist()


def plan_bindings(
    bindings: Sequence[Binding] | None, channels: Mapping[str, str | None] | None
) -> PlannedChange:
    """Change bindings and channels; None leaves one of them as it is.

    Raises InvalidInput and Conflict when it is decided.
    """
    before: list[Config] = []

    def decide(config: Config) -> ConfigChange | None:
        before.append(config)
        return rebind(config, bindings, channels, lambda: str(uuid.uuid4()))

    async def index(transaction: Transaction, after: Config) -> None:
        await _move_jobs(transaction, before[-1], after)

    return PlannedChange(decide, index)


def _listed(config: Config) -> list[IdentityBinding]:
    return sorted(config.identity_attributes.values(), key=lambda binding: binding.name)


def _linked(before: Config, after: Config) -> list[IdentifierSource]:
    """The sources that a change adds, or moves to another attribute."""
    return [
        source
        for source in after.bindings.values()
        if source.name not in before.bindings or before.bindings[source.name].path != source.path
    ]


async def _move_jobs(transaction: Transaction, before: Config, after: Config) -> None:
    """A job has the name of a binding: what got another name is indexed under that."""
    old = {match.source_id for match in before.bindings.values()}
    new = {match.source_id for match in after.bindings.values()}
    for job_id in sorted(old - new):
        await transaction.reindex_jobs.cancel(job_id)
    for job_id in sorted(new - old):
        await transaction.reindex_jobs.start(job_id)


def _confirmation(dataset_ref: DatasetRef, before: Config, after: Config, absorbed: int) -> str:
    what = (
        dataset_ref.dataset_id,
        before.version,
        sorted(map(msgspec.structs.astuple, after.identity_attributes.values())),
        sorted(after.channels.items()),
        absorbed,
    )
    digest = hashlib.sha256(msgspec.json.encode(what)).hexdigest()[:32]
    return f"{absorbed}-{digest}"


def _confirms(
    confirmation: str, dataset_ref: DatasetRef, before: Config, after: Config, preview: Preview
) -> bool:
    """Whether it confirms this change, and the change merges about as many profiles as it did."""
    number = confirmation.partition("-")[0]
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        return False
    absorbed = int(number)
    close = abs(preview.profiles_absorbed - absorbed) <= absorbed * TOLERANCE
    return close and confirmation == _confirmation(dataset_ref, before, after, absorbed)
