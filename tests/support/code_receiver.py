"""A real HTTP receiver of codes for tests: it accepts them, or refuses, hangs or breaks off, as set."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import msgspec

HOST = "127.0.0.1"

Behaviour = Literal[
    "accepts", "refuses", "fails", "fails_once", "is_busy", "redirects", "hangs", "drips", "drops", "floods"
]
_STATUS = {"accepts": 200, "refuses": 401, "fails": 500, "is_busy": 429, "redirects": 307, "floods": 200}


class ReceivedRequest(msgspec.Struct, frozen=True):
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class CodeReceiver:
    """Runs until `stop`. `received`: every request, in order, whatever was answered."""

    def __init__(self, behaviour: Behaviour = "accepts") -> None:
        self.behaviour = behaviour
        self.received: list[ReceivedRequest] = []
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where the receiver listens."""
        return f"http://{HOST}:{self._server.server_address[1]}/codes"

    @property
    def codes(self) -> list[str]:
        """The codes that arrived."""
        return [request.document["code"] for request in self.received]

    def stop(self) -> None:
        """Stop, and let go of who hangs."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Record a request, and answer it as the receiver behaves."""
        body = handler.rfile.read(int(handler.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.received.append(ReceivedRequest(handler.path, headers, body))
        behaviour = self.behaviour
        if behaviour == "drops":
            handler.connection.close()
        elif behaviour == "hangs":
            self.released.wait(60)
        elif behaviour == "drips":
            self._drip(handler)
        else:
            if behaviour == "fails_once":
                behaviour = "fails" if len(self.received) == 1 else "accepts"
            self._send(handler, behaviour)

    def _send(self, handler: BaseHTTPRequestHandler, behaviour: Behaviour) -> None:
        handler.send_response(_STATUS[behaviour])
        if behaviour == "redirects":
            handler.send_header("Location", self.url.replace("/codes", "/elsewhere"))
        handler.end_headers()
        try:
            while behaviour == "floods" and not self.released.is_set():
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Send a header forever, so that no single wait is long."""
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.released.wait(0.1):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            pass
