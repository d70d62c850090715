"""The HTTP protocol of a connection, within limits: uvicorn's, which has no deadlines and stores what comes.

    a head, or anything else that is neither head nor body, is too long   ─▶ 431, closed
    a request does not arrive in time                                     ─▶ 408, closed
    the client does not take its answer                                   ─▶ closed
    the request asks for another protocol                                 ─▶ answered as if it had not asked

Invariants: what a head says is settled when it ends, so trailers after the body change nothing. A request
that is rejected here is answered after the ones before it, so that no response is taken for that of another
request. Every request of the connection is within the limits, whichever way it takes (`event_protocol`).
Source: docs/guides/production.md, "Limits of connections".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

#: Room for a URL of 16 384 characters, which the event endpoints accept, and for cookies of every kind.
HEAD_BYTES_MAX = 65_536
#: What may arrive without ending a head or adding to a body. More than a head, because one is measured
#: exactly as soon as it is complete.
UNUSED_BYTES_MAX = 2 * HEAD_BYTES_MAX
#: For a head; for a body; and, after an early answer, for the rest of the body.
ARRIVAL_S = 30.0
#: A body has a second more for each of these: less than the slowest of telephone networks carries.
BODY_BYTES_PER_S = 1_024
#: The longest that the largest body may take.
ARRIVAL_S_MAX = 1_200.0
#: For some more of an answer to be taken.
DELIVERY_S = 60.0
#: For the client to close the connection after a rejection. What it still sends is read, because a connection
#: that is closed with unread bytes is reset, and the client may never see the rejection.
FAREWELL_S = 5.0
#: What the requests for another protocol consist of. This service speaks no other one.
UPGRADE_HEADERS = frozenset((b"connection", b"upgrade", b"http2-settings"))


class BoundedProtocol(HttpToolsProtocol):
    """The protocol of one connection.

    `connections_max`: how many connections the process may have; further ones are closed at once.
    """

    def __init__(self, *, connections_max: int | None = None, **server: Any) -> None:
        super().__init__(**server)
        self._connections_max = connections_max
        #: A request has begun to arrive; its head is complete.
        self._is_arriving, self._has_head = False, False
        #: The head asks for another protocol; the request is parsed again without that.
        self._asks_upgrade = False
        self._unused_bytes = 0
        #: Requests whose heads are complete and whose responses are not.
        self.unanswered = 0
        #: By when the request has to be complete, and the latest instant that its body can earn.
        self._due_s: float | None = None
        self._due_s_max = 0.0
        #: Bytes of an answer that the client has not taken, and since when there are as many.
        self._untaken, self._untaken_since_s = 0, 0.0
        self._rejection: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_arrival()
        if self._connections_max is not None and len(self.connections) > self._connections_max:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._rejection is not None:
            return
        self._unset_keepalive_if_required()
        self._unused_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._unused_bytes > UNUSED_BYTES_MAX:
            self.reject(431, "The head of the request is too long.")
        if self._rejection is None:
            self._set_due(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_arriving, self._has_head = True, False

    def on_headers_complete(self) -> None:
        self._has_head = True
        if self._rejection is not None:
            return
        if self.parser.should_upgrade():
            self._asks_upgrade = True
            return
        # What has been read is a bound; only where it exceeds the limit, the head is measured.
        if self._unused_bytes > HEAD_BYTES_MAX and self._measure_head() > HEAD_BYTES_MAX:
            self.reject(431, "The head of the request is too long.")
            return
        self._unused_bytes = 0
        self.unanswered += 1
        self.take_head()
        # Trailers are read into a list that nobody reads.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        if self._rejection is None and not self._asks_upgrade:
            self._unused_bytes = 0
            self.take_body(body)

    def on_message_complete(self) -> None:
        if self._rejection is None and not self._asks_upgrade:
            self._unused_bytes = 0
            self._is_arriving = False
            self.take_end()

    def take_head(self) -> None:
        """The head of a request is complete, and within the limits."""
        super().on_headers_complete()

    def take_body(self, body: bytes) -> None:
        """A part of its body has arrived."""
        super().on_body(body)

    def take_end(self) -> None:
        """The request is complete."""
        super().on_message_complete()

    def drop_request(self) -> bool:
        """Do not answer the request that is arriving. Returns False if it is being answered already."""
        is_waiting = bool(self.pipeline) and self.pipeline[0][0] is self.cycle
        if is_waiting:
            self.pipeline.popleft()
        return is_waiting

    def on_response_complete(self) -> None:
        self.unanswered -= 1
        super().on_response_complete()
        if self._rejection is not None and not self.unanswered:
            self._write_rejection()
        elif self._is_arriving and self._has_head:
            # An early answer: the rest of the body is read, so that the client gets to reading the answer.
            self._due_s = self._due_s_max = self.loop.time() + ARRIVAL_S

    def send_400_response(self, msg: str) -> None:
        self.reject(400, msg)

    def reject(self, status: int, sentence: str) -> None:
        """Answer the request that is arriving, after those before it, and close the connection."""
        if self._rejection is not None:
            return
        self._rejection = _render(status, sentence, self.server_state.default_headers)
        if self._is_arriving and self._has_head:
            # One that is being answered has none before it.
            self.unanswered = self.unanswered - 1 if self.drop_request() else 0
        if self.unanswered:
            self.flow.pause_reading()
        else:
            self._write_rejection()

    def check(self, now_s: float) -> None:
        """Close the connection if its client is too slow. `now_s`: by the clock of the event loop."""
        is_due = self._due_s is not None and now_s >= self._due_s
        if not is_due or self.transport.is_closing():
            self._check_delivery(now_s)
        elif self.flow.read_paused:
            # The service is the one that waits.
            self._await_arrival()
        elif self._is_arriving and self._rejection is None:
            self.reject(408, "The request did not arrive in time.")
        else:
            self.transport.close()

    def _check_delivery(self, now_s: float) -> None:
        untaken = self.transport.get_write_buffer_size()
        if untaken != self._untaken or not untaken:
            self._untaken, self._untaken_since_s = untaken, now_s
        elif now_s - self._untaken_since_s >= DELIVERY_S:
            self.transport.abort()

    def _feed(self, data: bytes) -> None:
        """Parse what arrived. Raises HttpParserError."""
        unread = memoryview(data)
        while True:
            try:
                self.parser.feed_data(unread)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # The parser has read no more than the head, and reads no further.
                unread = unread[upgrade.args[0] :]
                head = self._head_without_upgrade()
                self._asks_upgrade = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                if head is None:
                    self.reject(501, "This service is no tunnel.")
                    return
                self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes | None:
        """The head that has been parsed, for a client that asks for no other protocol; None: it has to."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            return None
        kept = [header for header in self.headers if header[0] not in UPGRADE_HEADERS]
        connection = b",".join(value.lower() for name, value in self.headers if name == b"connection")
        if b"close" in connection:
            kept.append((b"connection", b"close"))
        lines = (b"%b %b HTTP/%b" % (method, self.url, version.encode()), *(b"%b: %b" % one for one in kept))
        return b"\r\n".join((*lines, b"", b""))

    def _measure_head(self) -> int:
        """The bytes of the head that has been parsed, without blanks that mean nothing."""
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.url) + fields

    def _set_due(self, read: int) -> None:
        """Say by when the request that is arriving has to be complete, after so many bytes of it."""
        if self._is_arriving or (not self.unanswered and self.timeout_keep_alive_task is None):
            if self._due_s is None:
                self._await_arrival()
            elif self._has_head:
                self._due_s = min(self._due_s + read / BODY_BYTES_PER_S, self._due_s_max)
        else:
            self._due_s = None

    def _await_arrival(self) -> None:
        now_s = self.loop.time()
        self._due_s, self._due_s_max = now_s + ARRIVAL_S, now_s + ARRIVAL_S_MAX

    def _write_rejection(self) -> None:
        assert self._rejection is not None
        has_begun = self.cycle is not None and self.cycle.response_started
        if self.transport.is_closing():
            return
        if has_begun and not self.cycle.response_complete:
            self.transport.close()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The rest of its body does not arrive.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write(self._rejection)
        self.transport.write_eof()
        self._due_s = self.loop.time() + FAREWELL_S


def _render(status: int, sentence: str, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    headers = (
        *default_headers,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(sentence)).encode()),
        (b"connection", b"close"),
    )
    lines = (b"%b: %b\r\n" % header for header in headers)
    return b"".join((STATUS_LINE[status], *lines, b"\r\n", sentence.encode("ascii")))
