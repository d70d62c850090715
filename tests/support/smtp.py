"""A real SMTP server for tests: it takes mails, or refuses, delays, hangs or breaks off, as it is told."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import tempfile
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
USERNAME, PASSWORD = "mailer", "the password: of/the@server"

Behaviour = Literal["accepts", "greylists", "refuses", "refuses_content", "hangs", "drops"]


class MailServer:
    """Runs until `stop`. `received`: the mails that it took, in order."""

    def __init__(
        self,
        behaviour: Behaviour = "accepts",
        *,
        starts_tls: bool = False,
        is_encrypted: bool = False,
        asks_password: bool = False,
    ) -> None:
        self.behaviour = behaviour
        self.received: list[EmailMessage] = []
        self.attempts = 0
        self.was_encrypted: list[bool] = []
        self._released = asyncio.Event()
        self._is_stopped = False
        options: dict[str, Any] = {"tls_context": server_tls()} if starts_tls else {}
        if asks_password:
            options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": starts_tls}
        tls = server_tls() if is_encrypted else None
        self._controller = Controller(self, HOST, _free_port(), ssl_context=tls, **options)
        self._controller.start()

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self._controller.port

    def stop(self) -> None:
        """Stop, and let go of who hangs; again is fine."""
        if not self._is_stopped:
            self._is_stopped = True
            self._controller.loop.call_soon_threadsafe(self._released.set)
            self._controller.stop()

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.attempts += 1
        if self.behaviour == "greylists" and self.attempts == 1:
            return "451 4.7.1 Greylisted, try again later"
        if self.behaviour == "refuses":
            return "550 5.1.1 There is no such mailbox"
        if self.behaviour == "hangs":
            await self._released.wait()
        if self.behaviour == "drops":
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        if self.behaviour == "refuses_content":
            return "554 5.7.1 Looks like spam"
        self.was_encrypted.append(session.ssl is not None or self._controller.ssl_context is not None)
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 OK"


def server_tls() -> ssl.SSLContext:
    """The server's side of TLS, with the certificate that `client_tls` trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, _certificate()))
    return context


def client_tls() -> ssl.SSLContext:
    """The client's side of TLS, which trusts the test server alone."""
    return ssl.create_default_context(cafile=str(_certificate()[0]))


_files: list[tuple[Path, Path]] = []


def _certificate() -> tuple[Path, Path]:
    """Certificate and key of the test server, made once a process."""
    if not _files:
        folder = Path(tempfile.mkdtemp(prefix="smtp-"))
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.test")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        paths = folder / "certificate.pem", folder / "key.pem"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _files.append(paths)
    return _files[0]


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    is_right = (data.login.decode(), data.password.decode()) == (USERNAME, PASSWORD)
    return AuthResult(success=is_right, handled=is_right)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])
