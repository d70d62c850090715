"""What trusted issuers report of their users: the claims in the tokens that people bring.

    a token ─▶ newer than the last one of its user? ─▶ the claims that changed ─▶ one report on the write path

Invariants: a token reports what its issuer says at the moment at which it was issued, so an older token
reports nothing after a newer one. A claim that was reported before is no new proof: somebody else may have
verified the address since. A token makes no profile. The table has keyed digests, and no values.

Source: docs/decisions/0039-claims-in-tokens-of-trusted-issuers.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from oneself.core.identity.identifier import USER_ID, USER_ID_NAMESPACE, Identifier
from oneself.core.identity.normalise import normalise
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.reported_claims import accept_valid
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.verifiable_claims import find_verified, verifiable
from oneself.service.profiles.profiles import Profiles
from oneself.store.tables.issuer_claims import IssuerClaimsRow
from oneself.store.transaction import Transaction, begin

if TYPE_CHECKING:
    from oneself.store.database import Database

#: What such a report is called in the log.
ISSUER_REPORT = "issuer_report"
#: Each holds a connection while it waits for another one that writes.
REPORTS_AT_ONCE_MAX = 2
#: An entry takes a kilobyte. With more tokens in use, some are compared with the database again.
REPORTS_KNOWN_MAX = 10_000


class ClaimStatement(msgspec.Struct, frozen=True):
    """What a token says of one claim."""

    #: The attribute that mirrors the claim.
    claim: str
    #: None: the user has none. UNSET: the token only says that it is not verified.
    value: str | UnsetType | None
    is_verified: bool


class IssuerReport(msgspec.Struct, frozen=True):
    """What a token of a trusted issuer says of its user."""

    #: In µs since 1970.
    issued_at: int
    statements: tuple[ClaimStatement, ...]
    #: Whether the issuer may verify claims. If not, what was verified before stays so.
    verifies: bool = True


class IssuerReports:
    """Records what tokens of trusted issuers report."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        profiles: Profiles,
        rejected: RejectedClaims,
        secret_box: SecretBox,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._profiles = profiles
        self._rejected = rejected
        self._secret_box = secret_box
        self._slots = asyncio.Semaphore(REPORTS_AT_ONCE_MAX)
        self._known: dict[tuple[int, str, IssuerReport, frozenset[str]], None] = {}

    async def record(self, dataset_ref: DatasetRef, actor: Actor, user_id: str, report: IssuerReport) -> None:
        """Record what a token reports of its user, if they have a profile and it reports something new.

        Raises Contended, Unavailable.
        """
        settings = (await self._configurations.current(dataset_ref.dataset_id)).settings
        accepted = frozenset(
            item.claim
            for item in report.statements
            if item.is_verified and report.verifies and settings.accepts(item.claim, "provider")
        )
        key = (dataset_ref.dataset_id, user_id, report, accepted)
        if key in self._known:
            return
        user = normalise(Identifier(USER_ID, user_id), USER_ID_NAMESPACE)
        if not isinstance(user, Identifier):
            return
        if await self._profiles.find_own(dataset_ref, user.value) is None:
            return
        async with self._slots, begin(self._database, dataset_ref.dataset_id) as transaction:
            await transaction.issuer_claims.lock(user.value)
            await self._compare(transaction, dataset_ref, actor, user.value, report, accepted)
        if len(self._known) >= REPORTS_KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[key] = None

    async def _compare(
        self,
        transaction: Transaction,
        dataset_ref: DatasetRef,
        actor: Actor,
        user_id: str,
        report: IssuerReport,
        accepted: frozenset[str],
    ) -> None:
        """Report what differs from the newest token of the user; nothing if this is an older one."""
        last = await transaction.issuer_claims.find(user_id) or IssuerClaimsRow(0, {})
        if report.issued_at < last.issued_at:
            return
        digests = {item.claim: self._digest(user_id, item, accepted) for item in report.statements}
        changed = [item for item in report.statements if last.digests.get(item.claim) != digests[item.claim]]
        if changed:
            await self._report(transaction, dataset_ref, actor, user_id, changed, accepted)
        row = IssuerClaimsRow(report.issued_at, {**last.digests, **digests})
        await transaction.issuer_claims.put(user_id, row)

    async def _report(
        self,
        transaction: Transaction,
        dataset_ref: DatasetRef,
        actor: Actor,
        user_id: str,
        changed: Iterable[ClaimStatement],
        accepted: frozenset[str],
    ) -> None:
        """Write claims as one observation."""
        known = await find_verified(transaction, user_id)
        claims: dict[str, str | None] = {}
        verified: list[str] = []
        for item in changed:
            value = known.get(item.claim) if item.value is UNSET else item.value
            if item.value is UNSET and value is None:
                continue
            claims[item.claim] = value
            if item.is_verified and (item.claim in accepted or value == known.get(item.claim)):
                verified.append(item.claim)
        if not claims:
            return
        schema = (await self._configurations.current(dataset_ref.dataset_id)).schema
        resolution = await self._profiles.patch_claims(
            dataset_ref,
            actor,
            user_id,
            claims,
            verified=verifiable(schema, claims, verified),
            name=ISSUER_REPORT,
        )
        schema, values = resolution.config.schema, {IDENTITY_ATTRIBUTES: claims}
        self._rejected.count(dataset_ref, accept_valid(schema, resolution.survivor.record, values)[1])

    def _digest(self, user_id: str, item: ClaimStatement, accepted: frozenset[str]) -> str:
        parts = user_id, item.claim, repr(item.value), str((item.is_verified, item.claim in accepted))
        return self._secret_box.keyed_digest("issuer claim", *parts).hex()
