"""What mails of an organisation's accounts say, as text and as HTML.

Invariants: a mail contains nothing that the person who asked for it typed, but for the address that it goes
to. Otherwise anybody could send their words to strangers in the organisation's name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec

from oneself.auth.provider.rendering import render
from oneself.service.delivery.outbox import MailText
from oneself.service.directory.address_proofs import VerificationLink
from oneself.service.directory.recovery import NEW_ACCOUNT, RecoveryLink

#: Before the name of the organisation, at the end of a text (RFC 3676 §4.3).
SIGNATURE = "-- \n"
#: The page of a verification link, and its parameter.
VERIFY_PATH, LINK_PARAMETER = "accounts/verify", "link"
RECOVER_PATH, RECOVERY_LINK_PATH = "accounts/recover", "accounts/recover/link"


class Note(msgspec.Struct, frozen=True):
    """A mail with one link, or none. `before` and `after`: paragraphs around it."""

    subject: str
    before: tuple[str, ...]
    label: str = ""
    url: str = ""
    after: tuple[str, ...] = ()


class PageMailTexts:
    """Texts whose links lead to the pages of this service. `public_url`: its address, no slash at the end."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def verification(self, handle: str, name: str, link: VerificationLink, secret: str) -> MailText:
        """Asks whether an address is the recipient's."""
        return mail_of(
            name,
            Note(
                subject=f"Confirm your e-mail address for {name}",
                before=(
                    f"Somebody created an account at {name} with the address {link.address}, "
                    f"in {link.browser}, on {day_and_time(link.asked_at)}.",
                    "If it was you, open this page and enter the password of the account:",
                ),
                label="Confirm the address",
                url=self._url(handle, VERIFY_PATH, secret),
                after=(
                    "If it was not you, open the same page and choose “This was not me”. "
                    "You can also do nothing: the address counts as nobody's until it is confirmed.",
                    f"The link works once, until {day_and_time(link.expires_at)}.",
                ),
            ),
        )

    def recovery(self, handle: str, name: str, link: RecoveryLink, secret: str) -> MailText:
        """Lets the recipient choose a new password, or begin with a new account."""
        is_new = link.purpose == NEW_ACCOUNT
        unproven = "Nobody has confirmed this address yet, so it asks whose account it is."
        return mail_of(
            name,
            Note(
                subject=f"Your account at {name}",
                before=(
                    f"Somebody forgot the password of {link.address} at {name}, in {link.browser}, "
                    f"on {day_and_time(link.asked_at)}.",
                    f"If it was you, open this page. {unproven if is_new else 'Choose a new one there.'}",
                ),
                label="Choose your account" if is_new else "Choose a new password",
                url=self._url(handle, RECOVERY_LINK_PATH, secret),
                after=(
                    "If it was not you, do nothing. Nobody can use the link without this mail.",
                    f"The link works once, until {day_and_time(link.expires_at)}.",
                ),
            ),
        )

    def password_replaced(self, handle: str, name: str, browser: str, at: int) -> MailText:
        """Tells the recipient that the password was replaced."""
        return mail_of(
            name,
            Note(
                subject=f"Your password at {name} was changed",
                before=(
                    f"The password of your account at {name} was changed, in {browser}, "
                    f"on {day_and_time(at)}. Every browser was signed out.",
                    "If it was not you, choose another one here, and look after your mailbox:",
                ),
                label="Forgot your password?",
                url=f"{self._public_url}/t/{handle}/{RECOVER_PATH}",
                after=(),
            ),
        )

    def _url(self, handle: str, path: str, secret: str) -> str:
        return f"{self._public_url}/t/{handle}/{path}?{urlencode({LINK_PARAMETER: secret})}"


def day_and_time(instant: int) -> str:
    """An instant in µs since 1970 for people, such as “5 March 2026 at 14:03 UTC”."""
    at = datetime.fromtimestamp(instant / 1_000_000, UTC)
    return f"{at.day} {at:%B %Y} at {at:%H:%M} UTC"


def mail_of(name: str, note: Note) -> MailText:
    """A mail of an organisation with this name, as text and as HTML."""
    paragraphs = *note.before, note.url, *note.after, f"{SIGNATURE}{name}"
    lines = "\n\n".join(filter(None, paragraphs))
    html = render("mail.html", organisation=name, note=note)
    return MailText(note.subject, lines + "\n", html)
