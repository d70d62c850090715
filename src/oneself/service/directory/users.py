"""Users of the embedded directory together with their profiles: changed in both, deleted from both.

Invariants: the account leads. A profile receives a change as the directory's claims. Deleting a user erases
the profile; an interrupted deletion can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.changes import VerificationSource
from oneself.errors import Conflict, NotFound
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import VERIFIABLE_CLAIMS, Account, Accounts, Also
from oneself.service.privacy.erasure import Erasure, Receipt
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.profiles.profiles import Profiles

#: What an administrator's verification is called in the log; the audit log lists these observations.
VERIFICATION = "verification"
#: From the receipts of an erasure to what is written when the account is deleted.
WriteReceipt = Callable[[tuple[Receipt, ...]], Also]
_NOTHING: Mapping[str, bool] = {}


class Users:
    """Reads, changes and deletes users."""

    def __init__(
        self, accounts: Accounts, profiles: Profiles, erasure: Erasure, configurations: Configurations
    ) -> None:
        self._accounts = accounts
        self._profiles = profiles
        self._erasure = erasure
        self._configurations = configurations

    async def get(self, dataset_ref: DatasetRef, user_id: UUID) -> Account:
        """One user; raises NotFound."""
        account = await self._accounts.find(dataset_ref, user_id)
        if account is None:
            raise NotFound("There is no user with this id.")
        return account

    async def change(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        user_id: UUID,
        changes: Mapping[str, str],
        verified: Mapping[str, bool] = _NOTHING,
        *,
        source: VerificationSource = "administrator",
        begins_profile: bool = True,
    ) -> Account:
        """`changes`: password, given_name, last_name, mobile. `verified`: claim → whether it is verified.

        `source`: who verifies. `begins_profile`: whether a user who never signed in gets a profile by it;
        else the first sign-in records what is verified. Raises InvalidInput, NotFound, Conflict.
        """
        before = await self.get(dataset_ref, user_id)
        for claim in VERIFIABLE_CLAIMS:
            is_new = verified.get(claim, False) and (claim not in before.verified or claim in changes)
            if is_new and not await self.accepts(dataset_ref, claim, source):
                sentence = f"The settings of the organisation do not let {source} verify the claim {claim}."
                raise Conflict(sentence, code="verification_source")
        after = await self._accounts.change(dataset_ref, before, changes, verified)
        if not begins_profile and await self._profiles.find_own(dataset_ref, str(user_id)) is None:
            return after
        if (await self._configurations.current(dataset_ref.dataset_id)).settings.cds_enabled:
            await self._record_values(dataset_ref, actor, before, after)
            await self._record_verification(dataset_ref, actor, before, after, verified)
        return after

    async def accepts(self, dataset_ref: DatasetRef, claim: str, source: VerificationSource) -> bool:
        """Whether the organisation lets somebody verify a claim."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return config.settings.accepts(claim, source)

    async def withdraw_address(self, dataset_ref: DatasetRef, actor: Actor, account: Account) -> Account:
        """Take the address from an account and its profile. Raises NotFound."""
        after = await self._accounts.withdraw_address(dataset_ref, account)
        if (await self._configurations.current(dataset_ref.dataset_id)).settings.cds_enabled:
            await self._record_values(dataset_ref, actor, account, after)
        return after

    async def record_proof(
        self, dataset_ref: DatasetRef, actor: Actor, before: Account, after: Account, claim: str
    ) -> None:
        """Record in the profile that an account has another value of a claim.

        One report ends the verification of the former value, which begins anew, and verifies the other one,
        if the account has verified it.
        """
        if (await self._configurations.current(dataset_ref.dataset_id)).settings.cds_enabled:
            user_id, proved = str(after.user_id), {claim: after.claims[claim]}
            verified = (claim,) if claim in after.verified else ()
            await self._profiles.patch_claims(
                dataset_ref, actor, user_id, proved, verified=verified, name=VERIFICATION
            )
            await self._record_values(
                dataset_ref,
                actor,
                msgspec.structs.replace(before, claims={**before.claims, **proved}),
                after,
            )

    async def _record_values(
        self, dataset_ref: DatasetRef, actor: Actor, before: Account, after: Account
    ) -> None:
        # A claim that the account no longer has is unset in the profile.
        claims = {name: after.claims.get(name) for name in {**before.claims, **after.claims}}
        moved = {name: value for name, value in claims.items() if value != before.claims.get(name)}
        if moved:
            await self._profiles.patch_claims(dataset_ref, actor, str(after.user_id), moved)

    async def _record_verification(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        before: Account,
        after: Account,
        asked: Mapping[str, bool],
    ) -> None:
        """Record the claims that are verified now or no longer; nothing if all of them were so before."""
        changed = {
            claim: after.claims[claim]
            for claim in asked
            if claim in after.claims and before.verified.get(claim) != after.verified.get(claim)
        }
        if changed:
            verified = tuple(claim for claim in changed if claim in after.verified)
            await self._profiles.patch_claims(
                dataset_ref, actor, str(after.user_id), changed, verified=verified, name=VERIFICATION
            )

    async def forget_words(self, dataset_ref: DatasetRef, actor: Actor, user_id: UUID) -> None:
        """Erase what an account said of itself and the browsers that it brought; the rest stays."""
        await self._erasure.erase(dataset_ref, actor, ErasureTarget(user_id=str(user_id), only_words=True))

    async def delete(
        self, dataset_ref: DatasetRef, actor: Actor, user_id: UUID, write_receipt: WriteReceipt | None = None
    ) -> tuple[Receipt, ...]:
        """Erase what the user owns and delete the account; an unknown user changes nothing.

        `write_receipt`: from the receipts to what is written in the transaction that deletes the account.
        Returns the receipts of the erasures; none if the user never had a profile.
        """
        if await self._accounts.find(dataset_ref, user_id) is None:
            return ()
        erased = await self._erasure.erase_user(dataset_ref, actor, str(user_id))
        try:
            await self._accounts.delete(dataset_ref, user_id, write_receipt and write_receipt(erased))
        except NotFound:
            return erased
        # The user may have signed in between the two.
        return (*erased, *await self._erasure.erase_user(dataset_ref, actor, str(user_id)))
