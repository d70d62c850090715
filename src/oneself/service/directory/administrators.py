"""The console's own users, who are no accounts and have no profile."""

from __future__ import annotations

import time

from oneself.errors import InvalidInput
from oneself.service.context import DatasetRef
from oneself.service.crypto import Hasher
from oneself.service.directory.accounts import PASSWORD_BYTES_MAX, password_problem
from oneself.store.directory import Directory


class Administrators:
    """The console's users, who are no accounts and have no profile."""

    def __init__(self, directory: Directory, hasher: Hasher) -> None:
        self._directory = directory
        self._hasher = hasher

    async def ensure(self, dataset_ref: DatasetRef, username: str, password: str) -> bool:
        """Create a console user unless there is one of this name, whose password then stays."""
        administrators = self._directory.of(dataset_ref.org_id).administrators
        if await administrators.find_password(username) is not None:
            return False
        hashed = await self._hasher.hash(password)
        now = time.time_ns() // 1000
        return await administrators.put(username, hashed, now)

    async def set_password(self, dataset_ref: DatasetRef, username: str, password: str) -> None:
        """Create a console user, or replace the password of the one of this name. Raises InvalidInput."""
        if problem := password_problem(password):
            raise InvalidInput("password", problem)
        hashed = await self._hasher.hash(password)
        now = time.time_ns() // 1000
        await self._directory.of(dataset_ref.org_id).administrators.put_password(username, hashed, now)

    async def authenticate(self, dataset_ref: DatasetRef, username: str, password: str) -> bool:
        """Whether this is a console user of the organisation with this password."""
        administrators = self._directory.of(dataset_ref.org_id).administrators
        hashed = await administrators.find_password(username) if username.isprintable() else None
        if hashed is None:
            return await self._hasher.reject_slowly(password[:PASSWORD_BYTES_MAX])
        return await self._hasher.matches(hashed, password)

    async def list(self, dataset_ref: DatasetRef) -> list[str]:
        """The names of the console users, in order."""
        return await self._directory.of(dataset_ref.org_id).administrators.list()
