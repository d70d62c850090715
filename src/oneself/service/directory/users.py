"""Users of the embedded directory together with their profiles: changed in both, deleted from both.

Invariants: the account leads. A profile receives a change as the directory's claims. Deleting a user erases
the profile; an interrupted deletion can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.errors import NotFound
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Account, Accounts
from oneself.service.privacy.erasure import Erasure, Receipt
from oneself.service.profiles.profiles import Profiles


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
        self, dataset_ref: DatasetRef, actor: Actor, user_id: UUID, changes: Mapping[str, str]
    ) -> Account:
        """`changes`: password, given_name, last_name, mobile. Raises InvalidInput, NotFound."""
        before = await self.get(dataset_ref, user_id)
        after = await self._accounts.change(dataset_ref, before, changes)
        # A claim that the account no longer has is unset in the profile.
        claims = {name: after.claims.get(name) for name in {**before.claims, **after.claims}}
        moved = {name: value for name, value in claims.items() if value != before.claims.get(name)}
        config = await self._configurations.current(dataset_ref.dataset_id)
        if moved and config.settings.cds_enabled:
            values = {IDENTITY_ATTRIBUTES: moved}
            await self._profiles.patch_claims(dataset_ref, actor, str(user_id), values)
        return after

    async def delete(self, dataset_ref: DatasetRef, actor: Actor, user_id: UUID) -> tuple[Receipt, ...]:
        """Erase the user's profile and delete the account; an unknown user changes nothing.

        Returns the receipts of the erasures; none if the user never had a profile.
        """
        if await self._accounts.find(dataset_ref, user_id) is None:
            return ()
        erased = await self._erase(dataset_ref, actor, user_id)
        try:
            await self._accounts.delete(dataset_ref, user_id)
        except NotFound:
            return erased
        # The user may have signed in between the two.
        return (*erased, *await self._erase(dataset_ref, actor, user_id))

    async def _erase(self, dataset_ref: DatasetRef, actor: Actor, user_id: UUID) -> tuple[Receipt, ...]:
        view = await self._profiles.find_by_user(dataset_ref, str(user_id))
        if view is None:
            return ()
        receipt = await self._erasure.erase(dataset_ref, actor, view.survivor.profile_id)
        return (receipt,) if receipt else ()
