"""Mails through a real SMTP server: encryption, passwords, and servers that refuse, hang or break off."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest

from oneself.adapters.mail import (
    OutgoingMail,
    SmtpMailer,
    SmtpServer,
    check_sender,
    smtp_server,
)
from oneself.errors import DeliveryDeferred, DeliveryRejected, SettingsError
from support.smtp import HOST, PASSWORD, USERNAME, MailServer, client_tls

SENDER = "accounts@acme.example"
MAIL = OutgoingMail("a1b2", "vera@shop.example", "Confirm it", "Open https://…", "<p>Open</p>", "Acme, ☂")
StartServer = Callable[..., MailServer]


def mailer(server: MailServer, *, scheme: str = "smtp", user: str = "", options: str = "") -> SmtpMailer:
    url = f"{scheme}://{user}{HOST}:{server.port}{options}"
    return SmtpMailer(smtp_server(url), SENDER, timeout_s=2.0, tls_context=client_tls())


def credentials(password: str = PASSWORD) -> str:
    return f"{quote(USERNAME)}:{quote(password, safe='')}@"


async def test_a_mail_arrives_as_text_and_html(mail_server: StartServer) -> None:
    server = mail_server()
    await mailer(server).send(MAIL)
    (message,) = server.received
    assert message["From"] == '"Acme, ☂" <accounts@acme.example>'
    assert message["To"] == "vera@shop.example"
    assert message["Subject"] == "Confirm it"
    assert message["Message-ID"] == "<a1b2@acme.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    parts = [part.get_content_type() for part in message.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().strip() == "Open https://…"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # TLS from the start
@pytest.mark.parametrize(
    ("scheme", "starts_tls", "is_encrypted"), [("smtp", True, False), ("smtps", False, True)]
)
async def test_a_password_is_sent_encrypted(
    mail_server: StartServer, scheme: str, starts_tls: bool, is_encrypted: bool
) -> None:
    server = mail_server(starts_tls=starts_tls, is_encrypted=is_encrypted, asks_password=True)
    await mailer(server, scheme=scheme, user=credentials()).send(MAIL)
    assert len(server.received) == 1
    assert server.was_encrypted == [True]


async def test_a_password_is_not_sent_to_a_server_without_encryption(mail_server: StartServer) -> None:
    server = mail_server()
    with pytest.raises(DeliveryDeferred):
        await mailer(server, user=credentials()).send(MAIL)
    assert server.received == []


async def test_a_certificate_that_nobody_trusts_ends_the_connection(mail_server: StartServer) -> None:
    server = mail_server(starts_tls=True)
    with pytest.raises(DeliveryDeferred):
        await SmtpMailer(smtp_server(f"smtp://{HOST}:{server.port}"), SENDER, timeout_s=2.0).send(MAIL)
    assert server.received == []


async def test_encryption_is_used_where_it_is_offered(mail_server: StartServer) -> None:
    server = mail_server(starts_tls=True)
    await mailer(server).send(MAIL)
    await mailer(server, options="?starttls=never").send(MAIL)
    assert server.was_encrypted == [True, False]


async def test_a_wrong_password_may_be_mended(mail_server: StartServer) -> None:
    server = mail_server(starts_tls=True, asks_password=True)
    with pytest.raises(DeliveryDeferred):
        await mailer(server, user=credentials("another one")).send(MAIL)


@pytest.mark.parametrize("behaviour", ["refuses", "refuses_content"])
async def test_a_final_refusal_is_final(mail_server: StartServer, behaviour: str) -> None:
    with pytest.raises(DeliveryRejected, match="5") as refused:
        await mailer(mail_server(behaviour)).send(MAIL)
    # What is logged says why, and names nobody.
    assert re.fullmatch("5[0-9][0-9]", refused.value.cause)


@pytest.mark.parametrize("behaviour", ["greylists", "hangs", "drops"])
async def test_what_is_not_final_is_tried_again(mail_server: StartServer, behaviour: str) -> None:
    with pytest.raises(DeliveryDeferred) as deferred:
        await mailer(mail_server(behaviour)).send(MAIL)
    assert re.fullmatch("4[0-9][0-9]|[A-Za-z]+( [0-9]+)?", deferred.value.cause)


async def test_a_server_that_is_away_is_tried_again(mail_server: StartServer) -> None:
    server = mail_server()
    server.stop()
    with pytest.raises(DeliveryDeferred):
        await mailer(server).send(MAIL)


async def test_an_international_domain_needs_no_extension_of_the_server(mail_server: StartServer) -> None:
    server = mail_server()
    await mailer(server).send(msgspec.structs.replace(MAIL, recipient="vera@münchen.example"))
    (received,) = server.received
    assert received["To"] == "vera@xn--mnchen-3ya.example"


async def test_a_name_with_a_line_break_is_written_in_one_line(mail_server: StartServer) -> None:
    """Organisations may have been stored with one."""
    server, name = mail_server(), "Acme\r\nBcc: ben@shop.example"
    await mailer(server).send(msgspec.structs.replace(MAIL, sender_name=name, subject=f"Hello {name}"))
    (received,) = server.received
    assert (received["To"], received["Bcc"]) == (MAIL.recipient, None)
    assert received["Subject"] == "Hello Acme Bcc: ben@shop.example"


@pytest.mark.parametrize(
    "recipient", ["a\r\nBcc: b@c.example", "no address", "", "a@b@c", "ünï@acme.example"]
)
async def test_an_address_that_no_mail_can_go_to_is_rejected(
    mail_server: StartServer, recipient: str
) -> None:
    server = mail_server()
    with pytest.raises(DeliveryRejected):
        await mailer(server).send(msgspec.structs.replace(MAIL, recipient=recipient))
    assert server.received == []


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mx.example", SmtpServer("mx.example", 587)),
        ("smtps://u:p%40@mx.example", SmtpServer("mx.example", 465, True, True, "u", "p@")),
        ("smtp://localhost:25?starttls=never", SmtpServer("localhost", 25, False, False)),
    ],
)
def test_the_url_names_the_server(url: str, server: SmtpServer) -> None:
    assert smtp_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "mx.example", "http://mx.example", "smtp://", "smtp://mx:99999", "smtp://mx?starttls=yes", "smtp://mx?tls=1",
        "smtp://u:p@mx?starttls=never",
    ],
)  # fmt: skip
def test_an_invalid_url_is_explained(url: str) -> None:
    with pytest.raises(SettingsError, match="ONESELF_SMTP_URL is not valid"):
        smtp_server(url)


@pytest.mark.parametrize("sender", ["", "Acme", "Acme <a@b.example>", "a@b.example, c@d.example", "a@b\r\n"])
def test_an_invalid_sender_is_explained(sender: str) -> None:
    with pytest.raises(SettingsError, match="ONESELF_MAIL_FROM"):
        check_sender(sender)
