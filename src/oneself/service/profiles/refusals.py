"""Refusals: merges and claims that were indicated and must not happen, and the settings that cause them.

Source: docs/concepts/resolution.md.
"""

from collections.abc import Mapping

import msgspec

from oneself.core.config.changes import BlockList, ConfigChange, Limits, PutBlocked, PutLimits, Several
from oneself.core.config.configuration import Config
from oneself.service.configuration import Configurations, PlannedChange, Versions
from oneself.service.context import Actor, DatasetRef
from oneself.service.profiles.proven_refusals import find_proven_refusals
from oneself.store.database import Database
from oneself.store.tables.profile_listing import ListView
from oneself.store.tables.refusal import FIRST, ListedRefusal, RefusalPosition
from oneself.store.transaction import Tables, snapshot

#: How many profiles a page of the view `proven` examines.
PROFILES_PER_PAGE = 1_000
BLOCKED_MAX = 10_000
BLOCKED_CHARS_MAX = 512
LIMIT_MAX = 1_000_000
_CLIENT = Actor("cds")


class Protection(msgspec.Struct, frozen=True):
    """What keeps profiles apart: values that identify no person, beside the built-in ones, and limits."""

    blocked_values: tuple[str, ...]
    blocked_patterns: tuple[str, ...]
    profiles_per_merge_max: int
    values_per_namespace_max: int


class RefusalPage(msgspec.Struct, frozen=True):
    """A page of refusals."""

    refusals: tuple[ListedRefusal, ...]
    #: Where the next page begins; None on the last page.
    next_position: RefusalPosition | None


class Refusals:
    """The use-cases of refusals and protection."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        *,
        profiles_per_page: int = PROFILES_PER_PAGE,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._profiles_per_page = profiles_per_page

    async def page(
        self,
        dataset_ref: DatasetRef,
        limit: int,
        *,
        before: RefusalPosition = FIRST,
        code: str | None = None,
        view: ListView = "all",
    ) -> RefusalPage:
        """The refusals before a position, the latest first; of one code if given.

        In the view `proven`: those of the newest profiles first.
        """
        if view == "proven":
            config = await self._configurations.current(dataset_ref.dataset_id)
            async with snapshot(self._database, dataset_ref.dataset_id) as tables:
                found, following = await find_proven_refusals(
                    tables, config, limit, before, code, profiles_per_page=self._profiles_per_page
                )
            return RefusalPage(tuple(found), following)
        found = await Tables(self._database, dataset_ref.dataset_id).refusals.list(before, limit + 1, code)
        following = found[limit - 1].position if len(found) > limit else None
        return RefusalPage(tuple(found[:limit]), following)

    async def count(self, dataset_ref: DatasetRef) -> dict[str, int]:
        """Code → how often it occurred in the view `all`."""
        return await Tables(self._database, dataset_ref.dataset_id).refusals.count()

    async def protection(self, dataset_ref: DatasetRef) -> Protection:
        """The current protection."""
        return protection_of(await self._configurations.current(dataset_ref.dataset_id))

    async def protect(
        self,
        dataset_ref: DatasetRef,
        *,
        actor: Actor = _CLIENT,
        expected: Versions | None = None,
        **changes: object,
    ) -> Protection:
        """Change fields of the protection; it applies to the next observation.

        `expected`: as for `Configurations.change`. Raises PreconditionFailed.
        """

        decide = plan_protection(**changes).decide
        return protection_of(
            await self._configurations.change(
                dataset_ref.dataset_id, decide, **actor.author, expected=expected
            )
        )


def find_problem(changes: Mapping[str, object]) -> str | None:
    """What is wrong with changes of the protection, in a sentence; None: nothing is."""
    for name, value in changes.items():
        if isinstance(value, tuple):
            if len(value) > BLOCKED_MAX or any(not 0 < len(text) <= BLOCKED_CHARS_MAX for text in value):
                return f"{name}: At most {BLOCKED_MAX} entries of 1 to {BLOCKED_CHARS_MAX} characters."
        elif not (isinstance(value, int) and 1 <= value <= LIMIT_MAX):
            return f"{name} must be between 1 and {LIMIT_MAX}."
    return None


def plan_protection(**changes: object) -> PlannedChange:
    """Change fields of the protection."""

    def put(config: Config) -> ConfigChange:
        protection = msgspec.structs.replace(protection_of(config), **changes)
        blocked = BlockList(
            frozenset(value.casefold() for value in protection.blocked_values),
            protection.blocked_patterns,
        )
        limits = Limits(protection.profiles_per_merge_max, protection.values_per_namespace_max)
        return Several((PutBlocked(blocked), PutLimits(limits)))

    return PlannedChange(put)


def protection_of(config: Config) -> Protection:
    return Protection(
        blocked_values=tuple(sorted(config.blocked.values)),
        blocked_patterns=config.blocked.patterns,
        profiles_per_merge_max=config.limits.profiles_per_merge_max,
        values_per_namespace_max=config.limits.values_per_namespace_max,
    )
