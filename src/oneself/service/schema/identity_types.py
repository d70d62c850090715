"""Identity types: what may identify a person, the same in every dataset of an organisation.

Invariants: a change is written to the configuration of every dataset in one transaction, in the order of
their keys, so that no two of them ever differ. Uniqueness and case sensitivity of a type never change, and a
type is deleted only if no profile holds a value of it. Source: docs/wire/interactions.md §3, §14.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from oneself.core.config.changes import DropIdentityType, PutIdentityType
from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import TRACKER
from oneself.core.identity.identity_type import BUILT_IN_TYPES, PROFILE_ID, IdentityType
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.configuration import Configurations, Decide, PlannedChange, Versions
from oneself.service.context import ADMINISTRATOR, Actor, DatasetRef
from oneself.store.directory import Directory
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.database import Database
    from oneself.store.tables.dataset import DatasetTable

TYPE_ID = re.compile(r"[A-Za-z0-9]{1,64}")
LABEL_CHARS_MAX = 100
#: Source: docs/wire/interactions.md §14.
CUSTOM_TYPES_MAX = 32
BLOCKED_MAX = 10_000
BLOCKED_CHARS_MAX = 256
#: Namespaces of other identifiers.
RESERVED = frozenset({TRACKER})
#: Fields of a saved type that never change.
FIXED = ("is_unique", "case_sensitive")


class IdentityTypes:
    """The use-cases of identity types."""

    def __init__(
        self, database: Database, configurations: Configurations, *, custom_types_max: int = CUSTOM_TYPES_MAX
    ) -> None:
        self._directory = Directory(database)
        self._configurations = configurations
        self._custom_types_max = custom_types_max

    async def list(self, dataset_ref: DatasetRef) -> list[IdentityType]:
        """Every type, the built-in ones first, each kind by id."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return sorted(
            config.types.values(),
            key=lambda identity_type: (not identity_type.built_in, identity_type.type_id),
        )

    async def find(self, dataset_ref: DatasetRef, type_id: str) -> IdentityType:
        """One type; raises NotFound."""
        return _known(await self._configurations.current(dataset_ref.dataset_id), type_id)

    async def create(
        self, dataset_ref: DatasetRef, identity_type: IdentityType, *, actor: Actor = ADMINISTRATOR
    ) -> IdentityType:
        """Add a type to every dataset.

        Raises InvalidInput; Conflict if the id is in use or there are too many.
        """
        made = _checked(msgspec.structs.replace(identity_type, built_in=False))
        await self._everywhere(dataset_ref, self.plan_new(made).decide, actor)
        return made

    def plan_new(self, identity_type: IdentityType) -> PlannedChange:
        """Add a type to a dataset. Raises as `create`."""
        made = _checked(msgspec.structs.replace(identity_type, built_in=False))

        def put(config: Config) -> PutIdentityType:
            if any(made.type_id.casefold() == known.casefold() for known in config.types):
                raise Conflict(f"An identity type {made.type_id!r} already exists.", code="taken")
            if len(config.types) - len(BUILT_IN_TYPES) >= self._custom_types_max:
                sentence = f"An organisation has at most {self._custom_types_max} identity types of its own."
                raise Conflict(sentence, code="limit")
            return PutIdentityType(made)

        return PlannedChange(put)

    async def change(
        self,
        dataset_ref: DatasetRef,
        type_id: str,
        changes: Mapping[str, Any],
        *,
        actor: Actor = ADMINISTRATOR,
        expected: Versions | None = None,
    ) -> IdentityType:
        """Change a type in every dataset, by the field names of IdentityType.

        Values that are no longer blocked are reindexed in the background. `expected`: of every dataset, as
        for `Configurations.change`. Raises NotFound, InvalidInput, Conflict, PreconditionFailed.
        """
        await self._everywhere(
            dataset_ref, plan_type_change(type_id, changes).decide, actor, expected=expected
        )
        return await self.find(dataset_ref, type_id)

    async def delete(self, dataset_ref: DatasetRef, type_id: str, *, actor: Actor = ADMINISTRATOR) -> None:
        """Delete a type that no dataset binds and no profile holds a value of. Raises NotFound, Conflict."""

        def drop(config: Config) -> DropIdentityType:
            if _known(config, type_id).built_in:
                raise Conflict(f"{type_id!r} is built in and cannot be deleted.", code="built_in")
            bindings = config.identity_attributes.values()
            names = [binding.name for binding in bindings if binding.type_id == type_id]
            if names:
                sentence = f"{type_id!r} is bound to the identity attribute {names[0]!r}; unbind it first."
                raise Conflict(sentence, code="bound")
            return DropIdentityType(type_id)

        async def check(datasets: DatasetTable, dataset_ids: Sequence[int]) -> None:
            await _check_unused(datasets, dataset_ids, type_id)

        await self._everywhere(dataset_ref, drop, actor, check)

    async def check_unused(self, dataset_ref: DatasetRef, type_id: str) -> None:
        """Raise Conflict if a profile holds a value of the type."""
        datasets = self._directory.of(dataset_ref.org_id).datasets
        await _check_unused(datasets, await datasets.list_ids(), type_id)

    async def _everywhere(
        self,
        dataset_ref: DatasetRef,
        decide: Decide,
        actor: Actor,
        check: Callable[[DatasetTable, Sequence[int]], Awaitable[None]] | None = None,
        expected: Versions | None = None,
    ) -> None:
        """Change every dataset or none; `check` runs when all of them are locked."""
        async with self._directory.transaction() as transaction:
            connection, datasets = transaction.connection, transaction.of(dataset_ref.org_id).datasets
            # `default` is the oldest dataset. While it is locked, no dataset is made: the list is complete.
            home = Transaction(connection, dataset_ref.dataset_id)
            await self._configurations.change_in(home, decide, **actor.author, expected=expected)
            others = sorted(set(await datasets.list_ids()) - {dataset_ref.dataset_id})
            for dataset_id in others:
                await self._configurations.change_in(
                    Transaction(connection, dataset_id), decide, **actor.author, expected=expected
                )
            if check is not None:
                await check(datasets, [dataset_ref.dataset_id, *others])


def plan_type_change(type_id: str, changes: Mapping[str, Any]) -> PlannedChange:
    """Change a type in a dataset. Raises as `IdentityTypes.change`."""

    def put(config: Config) -> PutIdentityType | DropIdentityType | None:
        before = _known(config, type_id)
        after = msgspec.structs.replace(before, **changes)
        if after != before and type_id == PROFILE_ID:
            raise Conflict(f"{PROFILE_ID!r} is the primary id itself and cannot change.", code="built_in")
        _check_fixed(before, after)
        _checked(after)
        if after == before:
            return None
        return DropIdentityType(type_id) if after == BUILT_IN_TYPES.get(type_id) else PutIdentityType(after)

    return PlannedChange(put)


def _known(config: Config, type_id: str) -> IdentityType:
    found = config.types.get(type_id)
    if found is None:
        raise NotFound(f"There is no identity type {type_id[:100]!r}.")
    return found


async def _check_unused(datasets: DatasetTable, dataset_ids: Sequence[int], type_id: str) -> None:
    if await datasets.holds_identity(dataset_ids, type_id):
        sentence = f"Profiles hold values of {type_id!r}; it can be deleted when none does."
        raise Conflict(sentence, code="in_use")


def _checked(identity_type: IdentityType) -> IdentityType:
    """The same type; raises InvalidInput for the first invalid field."""
    type_id, label, blocked = identity_type.type_id, identity_type.label, identity_type.blocked_values
    if not TYPE_ID.fullmatch(type_id):
        raise InvalidInput("id", "An id has 1 to 64 letters and digits.")
    if type_id.casefold() in RESERVED:
        raise InvalidInput("id", f"{type_id!r} is the namespace of another identifier; choose another id.")
    if not 0 < len(label) <= LABEL_CHARS_MAX or not label.isprintable():
        raise InvalidInput("label", f"A label has 1 to {LABEL_CHARS_MAX} printable characters.")
    if len(blocked) > BLOCKED_MAX or not all(0 < len(value) <= BLOCKED_CHARS_MAX for value in blocked):
        sentence = f"At most {BLOCKED_MAX} blocked values of 1 to {BLOCKED_CHARS_MAX} characters."
        raise InvalidInput("blocked_values", sentence)
    return identity_type


def _check_fixed(before: IdentityType, after: IdentityType) -> None:
    if any(getattr(before, name) != getattr(after, name) for name in FIXED):
        sentence = "Uniqueness and case sensitivity of an identity type never change; create another type."
        raise InvalidInput("uniqueness", sentence)
