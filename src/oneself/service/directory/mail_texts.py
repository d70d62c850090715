"""What says what mails say. The pages implement it, because the links in mails lead to pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from oneself.service.delivery.outbox import MailText

if TYPE_CHECKING:
    from oneself.service.directory.address_proofs import VerificationLink
    from oneself.service.directory.recovery import RecoveryLink


class MailTexts(Protocol):
    """Says what mails say. `handle` and `name`: of the organisation. `secret`: of the link in the mail."""

    def verification(self, handle: str, name: str, link: VerificationLink, secret: str) -> MailText: ...

    def recovery(self, handle: str, name: str, link: RecoveryLink, secret: str) -> MailText: ...

    def password_replaced(self, handle: str, name: str, browser: str, at: int) -> MailText: ...
