"""Publishes messages to a stream of NATS JetStream.

    nats://user:password@host:4222   a user; nats://token@host:4222 a token; or a credentials file
    tls://host:4222                  TLS: a server that does not offer it gets no credentials

A stream that takes the subjects is used as it is. If there is none, one is made (`StreamLimits`).

Invariants: messages are stored in order and without gaps. The first of a batch names the position in the
stream at which it must be stored, each other one the message before it, so that a publisher that another one
has replaced stores nothing any more. A connection that broke is never used again: what it had in its buffers
is not sent. An error names no address and no secret.

The client library is imported when a connection is opened.
Source: docs/decisions/0049-changes-over-nats.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from oneself.adapters.nats_answers import PublishAnswers, PublishOutcome
from oneself.adapters.nats_credentials import NatsCredentials, read_credentials
from oneself.adapters.nats_failures import NO_TLS, broker_failure, broker_failures, disconnected
from oneself.errors import BrokerFailed
from oneself.settings import Settings

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

#: For a connection, and for an answer of the server.
CONNECT_S = 10.0
ANSWER_S = 10.0
#: Between two attempts at the servers of one list.
NEXT_SERVER_S = 0.1
#: In which the server recognises a message by its id.
DUPLICATES_S = 120.0


class StreamLimits(msgspec.Struct, frozen=True):
    """Of a stream that is made: on disk, without copies; messages leave it after `age_s` seconds."""

    age_s: float


class NatsOptions(msgspec.Struct, frozen=True):
    """How to reach the servers, and what the stream is called."""

    urls: tuple[str, ...]
    #: The name of the stream, and the first word of its subjects.
    stream: str
    limits: StreamLimits
    credentials: Path | None = None
    #: A file of trusted certificates; None: those of this machine.
    tls_ca: Path | None = None
    #: The certificate of this client, and its key.
    tls_certificate: Path | None = None
    tls_key: Path | None = None


class BrokerMessage(msgspec.Struct, frozen=True):
    """A message. `message_id`: the same whenever it is published."""

    subject: str
    message_id: str
    body: bytes


class Published(msgspec.Struct, frozen=True):
    """What was stored: the first so many messages. `failure`: why not all."""

    stored: int
    failure: BrokerFailed | None = None


class NatsBroker:
    """One connection at a time to a stream."""

    def __init__(
        self, options: NatsOptions, *, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S
    ) -> None:
        self._options = options
        self._servers = [urlsplit(url) for url in options.urls]
        self._connect_s, self._answer_s = connect_s, answer_s
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._answers: PublishAnswers | None = None
        self._stream = ""
        #: The position of the last message; None: others publish to the stream as well.
        self._last: int | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be used."""
        return self._client is not None and self._client.is_connected

    @property
    def root(self) -> str:
        """The first word of its subjects."""
        return self._options.stream

    @property
    def stream(self) -> str:
        """The name of the stream that takes the messages; empty if there is none yet."""
        return self._stream

    async def connect(self, *, makes_stream: bool = True) -> None:
        """Open a connection, and find the stream, or make it. Raises BrokerFailed."""
        await self.close()
        try:
            self._client = await self._open()
            self._jetstream = self._client.jetstream(timeout=self._answer_s)
            self._answers = PublishAnswers(self._client)
            async with broker_failures():
                await self._answers.begin()
                await self._find_stream(self._jetstream, makes_stream=makes_stream)
        except BaseException:
            await self.close()
            raise

    async def find_last(self, subject: str) -> bytes | None:
        """The body of the last message whose subject matches; None: there is none. Raises BrokerFailed."""
        from nats.js.errors import NotFoundError

        if self._jetstream is None or not self.is_connected:
            raise disconnected()
        async with broker_failures():
            try:
                found = await self._jetstream.get_last_msg(self._stream, subject)
            except NotFoundError:
                return None
        return found.data

    async def publish(self, messages: Sequence[BrokerMessage]) -> Published:
        """Store messages in order. After a failure, the connection has to be opened again."""
        answers: list[asyncio.Future[PublishOutcome]] = []
        failure: BrokerFailed | None = None
        try:
            async with broker_failures(), asyncio.timeout(self._answer_s):
                await self._send(messages, answers)
                await asyncio.gather(*answers)
        except BrokerFailed as error:
            failure = error
        stored = 0
        for answer in answers:
            outcome = answer.result() if answer.done() and not answer.cancelled() else None
            if not isinstance(outcome, int):
                failure = outcome or failure
                break
            stored, self._last = stored + 1, None if self._last is None else max(self._last, outcome)
        return Published(stored, failure)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client, self._jetstream = self._client, None, None
        if client is not None:
            try:
                async with broker_failures(), asyncio.timeout(self._answer_s):
                    await client.close()
            except BrokerFailed:
                return

    async def _send(
        self, messages: Sequence[BrokerMessage], answers: list[asyncio.Future[PublishOutcome]]
    ) -> None:
        client, collected, former = self._client, self._answers, ""
        if client is None or collected is None or not client.is_connected:
            raise disconnected()
        for message in messages:
            headers = {"Nats-Msg-Id": message.message_id}
            if self._last is not None and former:
                headers["Nats-Expected-Last-Msg-Id"] = former
            elif self._last is not None:
                headers["Nats-Expected-Last-Sequence"] = str(self._last)
            reply, answer = collected.expect()
            answers.append(answer)
            await client.publish(message.subject, message.body, reply=reply, headers=headers)
            former = message.message_id

    async def _find_stream(self, context: JetStreamContext, *, makes_stream: bool) -> None:
        """Find the stream of the subjects, or make it. One that is there is never changed."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType
        from nats.js.errors import NotFoundError

        root = f"{self._options.stream}.>"
        try:
            self._stream = await context.find_stream_name_by_subject(root)
            info = await context.stream_info(self._stream)
        except NotFoundError:
            if not makes_stream:
                self._stream = ""
                return
            age_s = self._options.limits.age_s
            info = await context.add_stream(
                name=self._options.stream,
                subjects=[root],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                discard=DiscardPolicy.OLD,
                max_age=age_s,
                duplicate_window=min(DUPLICATES_S, age_s),
            )
            self._stream = self._options.stream
        # Positions cannot be foreseen in a stream that other publishers write to.
        self._last = info.state.last_seq if info.config.subjects == [root] else None

    async def _open(self) -> Client:
        from nats.errors import NoServersError

        problems: list[Exception] = []

        async def note(error: Exception) -> None:
            del problems[:-1]
            problems.append(error)

        credentials = await asyncio.to_thread(self._credentials)
        tls = await asyncio.to_thread(self._tls)
        client = _new_client()
        try:
            async with asyncio.timeout(self._connect_s):
                await client.connect(
                    servers=[_without_user(server) for server in self._servers],
                    name="Oneself",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=NEXT_SERVER_S,  # type: ignore[arg-type]
                    connect_timeout=self._connect_s,  # type: ignore[arg-type]
                    error_cb=note,
                    closed_cb=self._abandon,
                    tls=tls,
                    **credentials.options,
                )
        except Exception as error:
            is_vague = isinstance(error, NoServersError | TimeoutError)
            raise broker_failure(problems[-1] if problems and is_vague else error) from error
        return client

    async def _abandon(self) -> None:
        if self._answers is not None:
            self._answers.abandon()

    def _credentials(self) -> NatsCredentials:
        if self._options.credentials is not None:
            return read_credentials(self._options.credentials)
        user, password = self._servers[0].username, self._servers[0].password
        if not user:
            return NatsCredentials()
        if password is None:
            return NatsCredentials({"token": unquote(user)})
        return NatsCredentials({"user": unquote(user), "password": unquote(password)})

    def _tls(self) -> ssl.SSLContext | None:
        options = self._options
        if options.tls_ca is None and not any(server.scheme == "tls" for server in self._servers):
            return None
        try:
            context = ssl.create_default_context(cafile=options.tls_ca)
            if options.tls_certificate is not None:
                context.load_cert_chain(options.tls_certificate, options.tls_key)
        except (OSError, ValueError) as error:
            sentence = f"A certificate or key for NATS cannot be read: {type(error).__name__}."
            raise BrokerFailed(sentence, "certificate") from error
        return context


def broker_of(settings: Settings) -> NatsBroker | None:
    """The broker of the deployment; None without one."""
    if not settings.nats_urls:
        return None
    options = NatsOptions(
        urls=settings.nats_urls,
        stream=settings.nats_stream,
        limits=StreamLimits(settings.change_retention_days * 24 * 3600.0),
        credentials=settings.nats_credentials,
        tls_ca=settings.nats_tls_ca,
        tls_certificate=settings.nats_tls_certificate,
        tls_key=settings.nats_tls_key,
    )
    return NatsBroker(options)


def subject_word(name: str) -> str:
    """A name as one word of a subject: what has a meaning in subjects is percent-encoded, also dots."""
    return quote(name, safe="").replace(".", "%2E")


def _without_user(parts: SplitResult) -> str:
    """Credentials are options of the connection: the library does not decode those of a URL."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _new_client() -> Client:
    from nats.aio.client import Client
    from nats.errors import Error

    class EncryptedClient(Client):
        """Sends credentials only on an encrypted connection, where the URL asks for one."""

        def _connect_command(self) -> bytes:
            server = self._current_server
            if server and server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
                raise Error(NO_TLS)
            return super()._connect_command()

    return EncryptedClient()
