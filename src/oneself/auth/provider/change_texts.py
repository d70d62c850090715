"""What mails about changes of accounts say.

Invariants: as in `mail_texts`, nothing that somebody typed is in a mail, but for the address that it goes to.
A notice has no link that changes something.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from oneself.auth.provider.mail_texts import LINK_PARAMETER, Note, day_and_time, mail_of
from oneself.service.delivery.outbox import MailText
from oneself.service.directory.address_changes import ChangeLink

#: The pages of the links: of the new address, and of the former one.
CONFIRM_PATH, RETURN_PATH = "accounts/email/confirm", "accounts/email/return"


class ChangeTexts:
    """Texts whose links lead to the pages of this service. `public_url`: its address, no slash at the end."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def address_change(self, handle: str, name: str, link: ChangeLink, secret: str) -> MailText:
        """Asks whether the new address is the recipient's."""
        note = Note(
            subject=f"Confirm your new e-mail address for {name}",
            before=(
                f"Somebody wants to give an account at {name} the address {link.address}. "
                f"They asked in {link.browser}, on {day_and_time(link.asked_at)}.",
                "If it was you, open this page and enter the password of the account:",
            ),
            label="Confirm the new address",
            url=self._link(handle, CONFIRM_PATH, secret),
            after=(
                "If it was not you, do nothing. The account does not get your address.",
                f"The link works once, until {day_and_time(link.expires_at)}.",
            ),
        )
        return mail_of(name, note)

    def address_in_use(self, handle: str, name: str, link: ChangeLink) -> MailText:
        """Tells the owner of an account that somebody wants its address for another one."""
        note = Note(
            subject=f"You have an account at {name} already",
            before=(
                f"Somebody wants to give another account at {name} the address {link.address}. "
                f"They asked in {link.browser}, on {day_and_time(link.asked_at)}.",
                "Your account has this address, so nothing was changed. If it was you, sign in to it:",
            ),
            label="Open the sign-in page",
            url=self._sign_in(handle),
            after=(
                "To use the address there, first change that of this account, or delete this account.",
                "If it was not you, do nothing.",
            ),
        )
        return mail_of(name, note)

    def address_return(self, handle: str, name: str, link: ChangeLink, secret: str) -> MailText:
        """Tells the former address that the account has another one, and how to take that back."""
        note = Note(
            subject=f"The e-mail address of your account at {name} was changed",
            before=(
                f"Your account at {name} had the address {link.address}. It has another one since "
                f"{day_and_time(link.asked_at)}. Somebody with its password asked in {link.browser}.",
                "If it was you, do nothing. If not, take the change back and choose a new password:",
            ),
            label="Take the change back",
            url=self._link(handle, RETURN_PATH, secret),
            after=(f"The link works once, until {day_and_time(link.expires_at)}.",),
        )
        return mail_of(name, note)

    def account_deleted(self, handle: str, name: str, receipt_ids: Sequence[str], at: int) -> MailText:
        """Is the receipt for an account that was deleted."""
        receipts = f"Receipt of the erasure: {', '.join(receipt_ids)}." if receipt_ids else ""
        note = Note(
            subject=f"Your account at {name} was deleted",
            before=(
                f"Your account at {name} was deleted on {day_and_time(at)}, as somebody with its password "
                "asked. What was stored of you is erased. It cannot be restored.",
                *filter(None, (receipts,)),
                "Keep this mail as your receipt. You get no other one.",
            ),
        )
        return mail_of(name, note)

    def _sign_in(self, handle: str) -> str:
        return f"{self._public_url}/t/{handle}/accounts/login"

    def _link(self, handle: str, path: str, secret: str) -> str:
        return f"{self._public_url}/t/{handle}/{path}?{urlencode({LINK_PARAMETER: secret})}"
