"""Sends mail through an SMTP server.

    smtp://user:password@host:587      STARTTLS; without user and password only if the server offers it
    smtps://user:password@host:465     TLS from the start
    …?starttls=never                   no encryption, for a relay on the same machine

Invariants: a password is sent on an encrypted connection alone, and certificates are checked. A mail is sent
again with the same Message-ID, so that the recipient's program can recognise a repetition.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
import msgspec
from email_validator import EmailNotValidError, validate_email

from oneself.errors import DeliveryDeferred, DeliveryRejected, OneselfError, SettingsError
from oneself.settings import Settings

TIMEOUT_S = 30.0
_PORTS = {"smtp": 587, "smtps": 465}
#: Replies of 500 and more are final (RFC 5321 §4.2.1).
_FINAL = 500


class SmtpServer(msgspec.Struct, frozen=True):
    """An SMTP server and how to reach it."""

    host: str
    port: int
    #: TLS from the start.
    is_encrypted: bool = False
    #: None: if the server offers it.
    starts_tls: bool | None = None
    username: str = ""
    password: str = ""


class OutgoingMail(msgspec.Struct, frozen=True):
    """A mail as it is sent."""

    #: Unique, the same at each attempt.
    mail_id: str
    recipient: str
    subject: str
    text: str
    html: str
    #: The name of the sender, such as that of an organisation.
    sender_name: str


class SmtpMailer:
    """Sends mails through one server, a connection for each."""

    def __init__(
        self,
        server: SmtpServer,
        sender: str,
        *,
        timeout_s: float = TIMEOUT_S,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        """`sender`: the address that mails come from. `tls_context`: None: that of this machine."""
        self._server = server
        self._sender = sender
        self._timeout_s = timeout_s
        self._tls_context = tls_context

    async def send(self, mail: OutgoingMail) -> None:
        """Hand a mail to the server. Raises DeliveryDeferred, DeliveryRejected."""
        try:
            message = message_of(mail, self._sender)
        except (HeaderParseError, ValueError, IndexError) as error:
            raise DeliveryRejected(
                f"The address cannot be written into a mail: {error}", "address"
            ) from error
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            use_tls=server.is_encrypted,
            start_tls=None if server.is_encrypted else server.starts_tls,
            timeout=self._timeout_s,
            tls_context=self._tls_context,
        )
        try:
            async with connection:
                await connection.send_message(message)
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError) as refusal:
            raise _refused(refusal) from refusal
        except aiosmtplib.SMTPNotSupported as error:
            raise DeliveryRejected(
                f"The server does not support this address: {error}", "no SMTPUTF8"
            ) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise DeliveryDeferred(f"{type(error).__name__}: {error}", _cause_of(error)) from error


def smtp_server(url: str) -> SmtpServer:
    """The server of ONESELF_SMTP_URL. Raises SettingsError, which says what is wrong with it."""
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _invalid_url("its port is not a number from 1 to 65535") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _invalid_url("it must be like smtp://user:password@host:587 or smtps://user:password@host:465")
    if set(options) - {"starttls"} or options.get("starttls", ["never"]) != ["never"]:
        raise _invalid_url("its only option is ?starttls=never")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if options and username:
        raise _invalid_url("a password is not sent without encryption, so leave ?starttls=never out")
    starts_tls = False if options else True if username else None
    return SmtpServer(parts.hostname, port, parts.scheme == "smtps", starts_tls, username, password)


def check_sender(address: str) -> None:
    """Raises SettingsError unless mails can come from this address."""
    name, plain = parseaddr(address)
    try:
        Address(addr_spec=address)
    except (HeaderParseError, ValueError, IndexError):
        plain = ""
    if name or plain != address or "@" not in plain:
        raise SettingsError("ONESELF_MAIL_FROM must be an e-mail address, such as accounts@example.com.")


def mailer_of(settings: Settings) -> SmtpMailer | None:
    """What sends the mails of the deployment; None without a mail server. Raises SettingsError."""
    if not settings.smtp_url or not settings.mail_from:
        return None
    check_sender(settings.mail_from)
    return SmtpMailer(smtp_server(settings.smtp_url), settings.mail_from)


def message_of(mail: OutgoingMail, sender: str) -> EmailMessage:
    """The mail in the Internet Message Format, as text and HTML."""
    message = EmailMessage()
    message["From"] = Address(_one_line(mail.sender_name), addr_spec=sender)
    message["To"] = Address(addr_spec=_with_ascii_domain(mail.recipient))
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{mail.mail_id}@{sender.rpartition('@')[2]}>"
    # No out-of-office replies (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _with_ascii_domain(address: str) -> str:
    """An address as every server takes it: only the part before the @ may need SMTPUTF8 (RFC 6531)."""
    try:
        checked = validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return address
    return f"{checked.local_part}@{checked.ascii_domain}"


def _one_line(text: str) -> str:
    """The text of a header: the name of an organisation may have been stored with a line break."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _cause_of(error: Exception) -> str:
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def _refused(refusal: aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPDataError) -> OneselfError:
    cause = refusal.recipients[0] if isinstance(refusal, aiosmtplib.SMTPRecipientsRefused) else refusal
    sentence = f"{cause.code} {cause.message}"
    kind = DeliveryRejected if cause.code >= _FINAL else DeliveryDeferred
    return kind(sentence, str(cause.code))


def _invalid_url(reason: str) -> SettingsError:
    return SettingsError(f"ONESELF_SMTP_URL is not valid: {reason}.")
