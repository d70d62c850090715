"""Messages to a real nats-server: order, streams, credentials, TLS, and servers that are away."""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from nats.js.api import StreamConfig

from oneself.adapters.nats import BrokerMessage, NatsBroker, NatsOptions, StreamLimits, subject_word
from oneself.adapters.nats_credentials import read_credentials, signing_key
from oneself.errors import BrokerFailed
from support.nats_server import NatsServer

SUBJECT = "oneself.acme.default.proven"
StartNats = Callable[..., NatsServer]


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[StartNats]:
    """`start_nats(configuration="", jetstream=True)`."""
    started: list[NatsServer] = []

    def start(configuration: str = "", **options: Any) -> NatsServer:
        started.append(NatsServer(tmp_path / f"nats-{len(started)}", configuration, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
async def connected() -> AsyncIterator[Callable[..., Any]]:
    """Opens brokers, and closes them after the test."""
    opened: list[NatsBroker] = []

    async def connect(url: str, **fields: Any) -> NatsBroker:
        opened.append(broker_of(url, **fields))
        await opened[-1].connect()
        return opened[-1]

    yield connect
    for broker in opened:
        await broker.close()


def broker_of(url: str, **fields: Any) -> NatsBroker:
    options = NatsOptions((url,), fields.pop("stream", "oneself"), StreamLimits(3600.0), **fields)
    return NatsBroker(options, connect_s=3.0, answer_s=2.0)


def messages(*numbers: int) -> list[BrokerMessage]:
    return [BrokerMessage(f"{SUBJECT}.created", f"m{number}", f"{number}".encode()) for number in numbers]


async def stored_bodies(server: NatsServer, stream: str = "oneself", **options: Any) -> list[str]:
    """The bodies in a stream, in order."""
    async with await nats.connect(server.url, **options) as client:
        jetstream = client.jetstream()
        state = (await jetstream.stream_info(stream)).state
        found = [await jetstream.get_msg(stream, seq) for seq in range(state.first_seq, state.last_seq + 1)]
    return [(message.data or b"").decode() for message in found]


async def test_messages_are_stored_in_order_in_a_stream_that_is_made(
    start_nats: StartNats, connected: Callable[..., Any]
) -> None:
    server = start_nats()
    broker = await connected(server.url)
    assert await broker.find_last(f"{SUBJECT}.>") is None
    for start in (0, 300):
        published = await broker.publish(messages(*range(start, start + 300)))
        assert (published.stored, published.failure) == (300, None)
    assert await stored_bodies(server) == [str(number) for number in range(600)]
    assert await broker.find_last(f"{SUBJECT}.>") == b"599"
    async with await nats.connect(server.url) as client:
        config = (await client.jetstream().stream_info("oneself")).config
    assert (config.subjects, config.max_age, config.max_bytes) == (["oneself.>"], 3600.0, -1)
    assert (await broker.publish([])).failure is None


async def test_a_publisher_that_another_one_replaced_stores_nothing(
    start_nats: StartNats, connected: Callable[..., Any]
) -> None:
    """Whatever the former one has in hand: also messages that would be the next ones by number."""
    server = start_nats()
    former, present = await connected(server.url), await connected(server.url)
    assert (await present.publish(messages(1))).stored == 1
    late = await former.publish(messages(10, 11, 12, 13))
    assert late.failure is not None
    assert (late.stored, late.failure.cause) == (0, "overtaken")
    assert (await present.publish(messages(2, 3))).stored == 2
    await former.connect()
    assert (await former.publish(messages(4))).stored == 1
    assert await stored_bodies(server) == ["1", "2", "3", "4"]


async def test_a_stream_of_the_operator_is_used_and_not_changed(
    start_nats: StartNats, connected: Callable[..., Any]
) -> None:
    server = start_nats()
    config = StreamConfig(name="CRM", subjects=["oneself.>", "crm.>"], max_msgs=3)
    async with await nats.connect(server.url) as client:
        before = (await client.jetstream().add_stream(config)).config
        broker = await connected(server.url)
        assert broker.stream == "CRM"
        await client.jetstream().publish("crm.one", b"crm")
        assert (await broker.publish(messages(1, 2))).stored == 2
        await client.jetstream().publish("crm.two", b"crm")
        assert (await broker.publish(messages(3))).stored == 1, "others publish to it as well"
        assert (await client.jetstream().stream_info("CRM")).config == before
    assert await stored_bodies(server, "CRM") == ["2", "crm", "3"]


async def test_doctor_makes_no_stream(start_nats: StartNats) -> None:
    server = start_nats()
    broker = broker_of(server.url)
    await broker.connect(makes_stream=False)
    assert broker.stream == ""
    await broker.close()


async def test_what_was_stored_survives_a_kill_of_the_server(
    start_nats: StartNats, connected: Callable[..., Any]
) -> None:
    server = start_nats()
    broker = await connected(server.url)
    assert (await broker.publish(messages(1))).stored == 1
    server.kill()
    failed = await broker.publish(messages(2))
    assert failed.failure is not None
    assert failed.stored == 0
    with pytest.raises(BrokerFailed) as failure:
        await broker.connect()
    assert failure.value.cause == "unreachable"
    assert str(server.port) not in failure.value.message
    server.start()
    await broker.connect()
    assert await broker.find_last(f"{SUBJECT}.>") == b"1"
    assert (await broker.publish(messages(2))).stored == 1


@pytest.mark.parametrize(
    ("configuration", "jetstream", "cause"),
    [
        ("", False, "no_stream"),
        ('authorization { user: "oneself", password: "p@ss/word" }', True, "authorization"),
        ('authorization { token: "s3cret" }', True, "authorization"),
    ],
)
async def test_what_a_server_does_not_allow_is_said(
    start_nats: StartNats, configuration: str, jetstream: bool, cause: str
) -> None:
    server = start_nats(configuration, jetstream=jetstream)
    with pytest.raises(BrokerFailed) as failure:
        await broker_of(server.url).connect()
    assert failure.value.cause == cause


@pytest.mark.parametrize(
    ("configuration", "user"),
    [
        ('authorization { user: "oneself", password: "p@ss/word" }', "oneself:p%40ss%2Fword@"),
        ('authorization { token: "s3cret" }', "s3cret@"),
    ],
)
async def test_a_user_or_a_token_is_in_the_url(
    start_nats: StartNats, connected: Callable[..., Any], configuration: str, user: str
) -> None:
    server = start_nats(configuration)
    broker = await connected(server.url.replace("nats://", f"nats://{user}"))
    assert (await broker.publish(messages(1))).stored == 1


async def test_credentials_of_a_file_sign_what_the_server_sends(
    start_nats: StartNats, connected: Callable[..., Any], tmp_path: Path
) -> None:
    operator, account, user = NatsKey(b"O"), NatsKey(b"A"), NatsKey(b"U")
    system = NatsKey(b"A")
    limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1}
    stores = {**limits, "mem_storage": -1, "disk_storage": -1}
    tokens = {
        one.public: operator.token(one, {"type": "account", "version": 2, "limits": allowed})
        for one, allowed in ((account, stores), (system, limits))
    }
    own = operator.token(operator, {"type": "operator", "version": 2, "system_account": system.public})
    preload = "\n".join(f'{public}: "{token}"' for public, token in tokens.items())
    server = start_nats(
        f'operator: "{own}"\nresolver: MEMORY\nsystem_account: {system.public}\n'
        f"resolver_preload: {{\n{preload}\n}}"
    )
    path = tmp_path / "oneself.creds"
    token = account.token(user, {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1})
    path.write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    broker = await connected(server.url, credentials=path)
    assert (await broker.publish(messages(1))).stored == 1
    with pytest.raises(BrokerFailed):
        await broker_of(server.url).connect()


@pytest.mark.parametrize("text", ["", "-----BEGIN NATS USER JWT-----\na.b.c\n", None])
def test_a_file_without_credentials_is_said(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "oneself.creds"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BrokerFailed, match="ONESELF_NATS_CREDENTIALS"):
        read_credentials(path)


def test_a_seed_is_checked() -> None:
    user = NatsKey(b"U")
    assert signing_key(user.seed) is not None
    assert signing_key(NatsKey(b"A").seed) is None
    assert signing_key(user.seed[:-2] + "AA") is None
    assert signing_key("SU!") is None


async def test_tls_is_checked_and_never_given_up(
    start_nats: StartNats, connected: Callable[..., Any], tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}", ca_file: "{certificate}", verify: true }}'
    server = start_nats(tls)
    url = server.url.replace("nats://", "tls://")
    own = {"tls_ca": certificate, "tls_certificate": certificate, "tls_key": key}
    broker = await connected(url, **own)
    assert (await broker.publish(messages(1))).stored == 1
    for fields in ({}, {"tls_ca": certificate}):
        with pytest.raises(BrokerFailed) as failure:
            await broker_of(url, **fields).connect()
        assert failure.value.cause in ("tls", "unreachable", "timeout")
    with pytest.raises(BrokerFailed) as failure:
        await broker_of(url, tls_ca=tmp_path / "missing").connect()
    assert failure.value.cause == "certificate"
    plain = start_nats('authorization { user: "oneself", password: "password" }')
    with pytest.raises(BrokerFailed) as failure:
        await broker_of(plain.url.replace("nats://", "tls://oneself:password@")).connect()
    assert failure.value.cause == "tls"
    assert "authorization" not in plain.log().lower(), "no credentials are sent without encryption"


def test_names_are_one_word_of_a_subject() -> None:
    assert subject_word("acme.example") == "acme%2Eexample"
    assert subject_word("web_2-x") == "web_2-x"
    assert not set(subject_word("a b.*>\r\n")) & set(" .*>\r\n")


def test_the_library_is_loaded_when_it_is_used() -> None:
    code = "import sys, oneself.bootstrap, oneself.cli.main; sys.exit('nats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class NatsKey:
    """A key of an operator (O), an account (A) or a user (U), and the tokens that it signs."""

    def __init__(self, kind: bytes) -> None:
        self._key = Ed25519PrivateKey.generate()
        prefix = {b"O": 14 << 3, b"A": 0, b"U": 20 << 3}[kind]
        public = self._key.public_key().public_bytes_raw()
        self.public = _encoded(bytes([prefix]) + public)
        seed_prefix = 18 << 3
        first = bytes([seed_prefix | (prefix >> 5), (prefix & 31) << 3])
        self.seed = _encoded(first + self._key.private_bytes_raw())

    def token(self, subject: NatsKey, content: dict[str, Any]) -> str:
        claims = {
            "jti": "x",
            "iat": int(time.time()),
            "iss": self.public,
            "sub": subject.public,
            "nats": content,
        }
        parts = ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)
        text = ".".join(_base64(msgspec.json.encode(part)) for part in parts)
        return f"{text}.{_base64(self._key.sign(text.encode()))}"


def _encoded(content: bytes) -> str:
    checksum = binascii.crc_hqx(content, 0).to_bytes(2, "little")
    return base64.b32encode(content + checksum).decode().rstrip("=")


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, which signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    built = built.add_extension(x509.SubjectAlternativeName([_address()]), critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(*encoding))
    return paths


def _address() -> x509.IPAddress:
    from ipaddress import ip_address

    return x509.IPAddress(ip_address("127.0.0.1"))
