"""What `oneself doctor` says about mail: whether it is set up, and what becomes of a test mail."""

from __future__ import annotations

import asyncio
import uuid
from urllib.parse import urlsplit

from oneself.cli.finding import Finding
from oneself.settings import Settings

SUBJECT = "mail"
_SET_UP = "Set ONESELF_SMTP_URL and ONESELF_MAIL_FROM."


def check_mail(settings: Settings, address: str | None) -> list[Finding]:
    """Check the settings of mail, and send a mail to `address` unless it is None."""
    from oneself.adapters.mail import mailer_of
    from oneself.errors import SettingsError

    try:
        mailer = mailer_of(settings)
    except SettingsError as error:
        return [Finding(SUBJECT, "bad", error.message, "See: oneself settings.")]
    if mailer is None:
        return [_without_server(settings, is_asked=address is not None)]
    if address is None:
        host = urlsplit(settings.smtp_url or "").hostname
        return [Finding(SUBJECT, "good", f"sent through {host}; to try it: oneself doctor --mail ADDRESS")]
    return [asyncio.run(_send(settings, address))]


def waiting_mails(number: int) -> list[Finding]:
    """Warn of mails that could not be sent yet."""
    if not number:
        return []
    advice = "To see why: oneself doctor --mail ADDRESS. They are tried again until they expire."
    return [Finding(SUBJECT, "warning", f"mails that could not be sent yet: {number}", advice)]


def _without_server(settings: Settings, *, is_asked: bool) -> Finding:
    is_public = urlsplit(settings.url).hostname not in ("localhost", "127.0.0.1", "::1")
    sentence = "No mail server is set up: mails go to the development outbox of each organisation."
    return Finding(SUBJECT, "bad" if is_asked else "warning" if is_public else "good", sentence, _SET_UP)


async def _send(settings: Settings, address: str) -> Finding:
    from oneself.adapters.mail import OutgoingMail, mailer_of
    from oneself.errors import DeliveryDeferred, DeliveryRejected

    mailer = mailer_of(settings)
    assert mailer is not None, "check_mail looked"
    text = f"This mail was sent by `oneself doctor` of {settings.url}. Mail works."
    mail = OutgoingMail(str(uuid.uuid4()), address, "Mail works", text, f"<p>{text}</p>", "Oneself")
    try:
        await mailer.send(mail)
    except DeliveryRejected as error:
        advice = "The server answers, and does not take this mail. Check the address and ONESELF_MAIL_FROM."
        return Finding(SUBJECT, "bad", error.message, advice)
    except DeliveryDeferred as error:
        advice = "Check host, port, user name and password in ONESELF_SMTP_URL."
        return Finding(SUBJECT, "bad", error.message, advice)
    return Finding(SUBJECT, "good", f"The server took a mail to {address}. Look into that mailbox.")
