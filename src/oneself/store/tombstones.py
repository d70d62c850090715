"""Tombstones: the identifiers of erased people, known again but not readable (DESIGN §8).

Law of this module: a digest is keyed with the deployment's secret, bound to its dataset, and says when. What
happened before an erasure cannot come back, by import or replay; what the same person does later may.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import TYPE_CHECKING

from oneself.core.identity.identifier import Identifier
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("privacy.sql")
DIGEST_BYTES = 16


class Tombstones:
    """Writes and reads digests under one key."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.sha256(b"oneself tombstone\x00" + secret_key.encode()).digest()

    def digest(self, dataset_id: int, identifier: Identifier) -> bytes:
        """What is kept of an identifier."""
        text = "\x1f".join((str(dataset_id), identifier.namespace, identifier.value))
        return hmac.digest(self._key, text.encode(), "sha256")[:DIGEST_BYTES]

    async def put(
        self, connection: "Connection", dataset_id: int, identifiers: Iterable[Identifier], erased_at: int
    ) -> None:
        """Remember that these were erased."""
        digests = sorted({self.digest(dataset_id, identifier) for identifier in identifiers})
        await connection.execute(_sql.put_tombstones, dataset_id, digests, erased_at)

    async def find(
        self, connection: "Connection", dataset_id: int, identifiers: Iterable[Identifier]
    ) -> dict[Identifier, int]:
        """Which of these were erased, and when last (µs)."""
        digests = {self.digest(dataset_id, identifier): identifier for identifier in identifiers}
        if not digests:
            return {}
        found = await connection.fetch(_sql.find_tombstones, dataset_id, sorted(digests))
        return {digests[row["digest"]]: row["erased_at"] for row in found}
