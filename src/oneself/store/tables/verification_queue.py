"""The table `verification_queue`: what users verified in `default` and other datasets have yet to record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from oneself.core.profiles.verification import ClaimVerification
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.rows import lock_hash
from oneself.store.tables.table import Table

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_sql = Queries("verification_queue")
#: Joins the keys of a path; no key has it.
_JOINT = "\x1f"


class QueuedChange(msgspec.Struct, frozen=True):
    """What a dataset has yet to record."""

    position: int
    #: `verified` or `given_up`: a claim, by a user. `forgotten`: everything that a user verified. `compared`:
    #: what a user has verified in `default` by then. `all`: whatever is verified there, after user and path.
    change: Literal["verified", "given_up", "forgotten", "compared", "all"]
    verification: ClaimVerification


class VerificationQueue:
    """The datasets for which anything is queued."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def list_datasets(self) -> list[int]:
        """Their keys, in order."""
        return [row["dataset_id"] for row in await self._executor.fetch(_sql.list_datasets)]


class VerificationQueueTable(Table):
    """What is queued by one dataset for the others, or for one dataset."""

    __slots__ = ()

    async def put(self, verifications: Sequence[ClaimVerification]) -> None:
        """Queue changes for the other datasets of the organisation, if users verify in this one."""
        if verifications:
            found = (
                ("verified" if item.is_verified else "given_up", item.user_id, _JOINT.join(item.path),
                 item.value, item.begins)
                for item in verifications
            )  # fmt: skip
            await self._executor.execute(_sql.put, self._dataset_id, *rows.columns(5, found))

    async def put_all(self) -> None:
        """Queue everything that is verified in `default` for this dataset."""
        await self._executor.execute(_sql.put_all, self._dataset_id)

    async def forget(self, users: Iterable[str]) -> None:
        """Queue that users are forgotten, for the other datasets, if users verify in this one."""
        if gone := sorted(users):
            # In this order: a dataset that records a change meanwhile is waited for, and then has it.
            await self._executor.execute(_sql.delete_of_users, self._dataset_id, gone)
            await self._executor.execute(_sql.put_users, self._dataset_id, "forgotten", gone)

    async def compare(self, users: Iterable[str]) -> None:
        """Queue what users have verified by then, for the other datasets, if users verify in this one."""
        if changed := sorted(users):
            await self._executor.execute(_sql.put_users, self._dataset_id, "compared", changed)

    async def put_compared(self, users: Iterable[str]) -> None:
        """Queue what users have verified in `default` by then for this dataset."""
        if changed := sorted(users):
            await self._executor.execute(_sql.put_compared, self._dataset_id, changed)

    async def drop_user(self, user_id: str) -> None:
        """Delete what is queued of a user for this dataset."""
        await self._executor.execute(_sql.drop_user, self._dataset_id, user_id)

    async def try_lock(self) -> bool:
        """Let no other process work on what is queued for this dataset; False if one does."""
        key = lock_hash(self._dataset_id, "verification_queue")
        return bool(await self._executor.fetchval(_sql.try_lock, key))

    async def list_next(self, limit: int) -> list[QueuedChange]:
        """What is queued first for this dataset, in order."""
        found = await self._executor.fetch(_sql.list_next, self._dataset_id, limit)
        return [QueuedChange(row["position"], row["change"], _verification(row)) for row in found]

    async def list_verified(self, after: ClaimVerification, limit: int) -> list[ClaimVerification]:
        """The next claims that are verified in `default`, after a user and a path."""
        return await self._list_verified(after.user_id, _JOINT.join(after.path), limit, None)

    async def find_verified(self, user_id: str) -> list[ClaimVerification]:
        """What a user has verified in `default`."""
        return await self._list_verified("", "", None, user_id)

    async def _list_verified(self, *asked: object) -> list[ClaimVerification]:
        found = await self._executor.fetch(_sql.list_verified, self._dataset_id, *asked)
        return [_verification(row) for row in found]

    async def advance(self, position: int, last: ClaimVerification) -> None:
        """Record up to which user and path this dataset has what is verified in `default`."""
        path = _JOINT.join(last.path)
        await self._executor.execute(_sql.advance, self._dataset_id, position, last.user_id, path)

    async def delete(self, positions: Iterable[int]) -> None:
        """Delete what this dataset has recorded."""
        await self._executor.execute(_sql.delete, self._dataset_id, sorted(positions))


def _verification(row: Any) -> ClaimVerification:
    return ClaimVerification(
        user_id=row["user_id"],
        path=tuple(row["path"]),
        value=row["value"],
        is_verified=row["change"] == "verified",
        begins=row["begins"],
    )
