"""Tombstones: digests that recognise the identifiers of erased people, but do not reveal them.

Invariants: a digest is keyed with the deployment's secret and bound to its dataset. What happened before an
erasure cannot come back by an import or a replay; what the same person does later may.
Source: docs/concepts/trust.md.
"""

import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.store.transaction import Transaction

DIGEST_BYTES = 16
#: No identifier of a person or browser has this namespace.
_EXACT = "\x00exact"


def exactly(identifiers: Iterable[Identifier]) -> Identifier:
    """What stands for these identifiers together, and nothing else beside them."""
    named = sorted((item.namespace, item.value) for item in identifiers)
    return Identifier(_EXACT, msgspec.json.encode(named).decode())


class Tombstones:
    """Writes and reads digests under one key."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.sha256(b"oneself tombstone\x00" + secret_key.encode()).digest()

    def digest(self, dataset_id: int, identifier: Identifier) -> bytes:
        """The digest of an identifier of a dataset."""
        text = "\x1f".join((str(dataset_id), identifier.namespace, identifier.value))
        return hmac.digest(self._key, text.encode(), "sha256")[:DIGEST_BYTES]

    async def put(
        self,
        transaction: Transaction,
        identifiers: Iterable[Identifier],
        exact: Iterable[frozenset[Identifier]],
        erased_at: int,
    ) -> None:
        """Remember that identifiers were erased at an instant (µs).

        `exact`: identifiers that count only together, and alone.
        """
        named = (*identifiers, *map(exactly, exact))
        digests = {self.digest(transaction.dataset_id, identifier) for identifier in named}
        await transaction.tombstones.put(sorted(digests), erased_at)

    async def find(
        self, transaction: Transaction, identifiers: Iterable[Identifier]
    ) -> dict[Identifier, int]:
        """Which of these identifiers were erased, and when each was erased last (µs)."""
        digests = {self.digest(transaction.dataset_id, identifier): identifier for identifier in identifiers}
        found = await transaction.tombstones.find(sorted(digests))
        return {digests[digest]: erased_at for digest, erased_at in found.items()}
