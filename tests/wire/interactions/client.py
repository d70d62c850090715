"""A client of the event wire: pages and servers that send events, and lookups of users.

It follows docs/wire/interactions.md and imports nothing from `oneself`.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from wire.client import Cds

ANONYMOUS = re.compile(r"[0-9a-f]{16}")
PRIMARY = re.compile(r"[0-9a-f]{24}")
ENCODINGS = ("json", "form, base64", "form, raw", "get")
MINUTE_MS = 60_000
#: The look-ups of these tests ask for what the business believes, as the answers to events say it.
BELIEVED = {"view": "all"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def now_ms() -> int:
    return int(time.time() * 1000)


def new_device() -> str:
    """An anonymous ID in the format of the web SDK."""
    return secrets.token_hex(8)


def base64_of(event: Any) -> str:
    return base64.b64encode(json.dumps(event).encode()).decode()


class Dataset:
    """One dataset of one organisation."""

    def __init__(self, org: Cds, name: str) -> None:
        self.org, self.name = org, name
        self.basic = (org.client_id, org.client_secret)

    def path(self, endpoint: str = "event", prefix: bool = True) -> str:
        return f"{f'/t/{self.org.org}' if prefix else ''}/api2/{endpoint}/{self.name}"

    # -- events ---------------------------------------------------------------------------------------------

    def request(self, method: str, path: str | None = None, **kwargs: Any) -> httpx.Response:
        return self.org.http.request(method, path or self.path(), **kwargs)

    def try_send(
        self,
        event: Any,
        encoding: str = "json",
        *,
        endpoint: str = "event",
        prefix: bool = True,
        **kwargs: Any,
    ) -> httpx.Response:
        """Send an event in one of the four encodings; the answer can be an error."""
        path = self.path(endpoint, prefix)
        if endpoint == "authevent":
            kwargs.setdefault("auth", self.basic)
        if encoding == "json":
            headers = {"Content-Type": "application/json", **kwargs.pop("headers", {})}
            return self.request("POST", path, content=json.dumps(event), headers=headers, **kwargs)
        if encoding == "get":
            return self.request("GET", f"{path}?event={quote(base64_of(event), safe='')}", **kwargs)
        text = base64_of(event) if "base64" in encoding else json.dumps(event, ensure_ascii=False)
        headers = {**FORM, **kwargs.pop("headers", {})}
        return self.request("POST", path, content=urlencode({"event": text}), headers=headers, **kwargs)

    def send(self, event: dict[str, Any], encoding: str = "json", **kwargs: Any) -> dict[str, Any]:
        """Send an event that must be accepted; the body of the answer."""
        answer = self.try_send(event, encoding, **kwargs)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
        return dict(answer.json())

    def identify(self, at: int | None = None, device: str | None = None, **identities: str) -> str:
        """Send an event with these identities and no token; the primary ID that it resolves to."""
        answer = self.send(_event({"anonymousId": device or new_device(), "identities": identities}, at))
        assert answer["errorCode"] == 0
        assert PRIMARY.fullmatch(answer["resolvedUserId"])
        return str(answer["resolvedUserId"])

    def server_event(
        self, *, channel: str | None = "Server", at: int | None = None, **user: Any
    ) -> dict[str, Any]:
        """Send an event as an authenticated server, with `explain`."""
        event = {**_event(user, at), "explain": True}
        source = {**event.get("source", {}), **({"channel": channel} if channel is not None else {})}
        return self.send({**event, "source": source}, endpoint="authevent")

    def warnings(self, user: dict[str, Any], channel: str = "Web", **event: Any) -> set[str]:
        """Send an event and return the codes of its warnings; the event is stored."""
        source = {"channel": channel, **event.pop("source", {})}
        answer = self.send({"user": user, "explain": True, "source": source, **event}, endpoint="authevent")
        return warnings_of(answer)

    def page(self, device: str | None = None) -> Page:
        return Page(self, device or new_device())

    # -- lookups ------------------------------------------------------------------------------------------

    def user(self, user_id: str) -> dict[str, Any] | None:
        """The record of the user with this ID; None if there is none."""
        path = f"/t/{self.org.org}/api/dataset/{self.name}/user/{user_id}"
        answer = self.request("GET", path, auth=self.basic)
        return dict(answer.json()) if _found(answer) else None

    def record(self, user_id: str) -> dict[str, Any]:
        found = self.user(user_id)
        assert found is not None, f"no user {user_id}"
        return found

    def survivor(self, user_id: str) -> str:
        return str(self.record(user_id)["id"])

    def values(self, user_id: str) -> dict[str, Any]:
        """The attributes of a user, names to values."""
        return {name: attribute["value"] for name, attribute in self.record(user_id)["attributes"].items()}

    def resolve(self, **identities: str) -> str | None:
        """The primary ID for these identities; None if no user has any of them."""
        path = f"/datasets/{self.name}/resolve"
        answer = self.org.admin("POST", path, {"identities": identities}, params=BELIEVED)
        return str(answer.json()["primary_id"]) if _found(answer) else None

    def profile(self, user_id: str) -> dict[str, Any]:
        answer = self.org.admin("GET", f"/datasets/{self.name}/profiles/{user_id}", params=BELIEVED)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
        return dict(answer.json())

    def events(self, user_id: str) -> list[dict[str, Any]]:
        """The events of a user, newest first."""
        path = f"/datasets/{self.name}/profiles/{user_id}/events"
        answer = self.org.admin("GET", path, params=BELIEVED)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
        return list(answer.json()["events"])


@dataclass
class Page:
    """A page with the web SDK: it sends its anonymous ID and the latest persisted token."""

    dataset: Dataset
    device: str
    token: str = ""
    answer: dict[str, Any] = field(default_factory=dict)

    def send(self, at: int | None = None, event: dict[str, Any] | None = None, **user: Any) -> str:
        """Send an event; the ID that it resolves to, "" if none. `answer` has the whole answer."""
        fields = {"anonymousId": self.device, **user}
        if self.token:
            fields = {"encryptedId": self.token, **fields}
        self.answer = self.dataset.send({**_event(fields, at), **(event or {})})
        self.token = (self.answer.get("persistedUserId") or {}).get("entityId") or self.token
        self.device = self.answer.get("anonymousId", self.device)
        return str(self.answer.get("resolvedUserId", ""))


def _found(answer: httpx.Response) -> bool:
    """Whether a user was found; fails if the route itself does not exist."""
    assert answer.status_code in (200, 404), f"{answer.status_code} {answer.text[:500]}"
    assert "page not found" not in answer.text, answer.url
    return answer.status_code == 200


def _event(user: dict[str, Any], at: int | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"interaction": {"name": "View"}, "user": user}
    return {**event, "source": {"time": at}} if at is not None else event


def token_of(answer: dict[str, Any]) -> str:
    persisted = answer["persistedUserId"]
    assert set(persisted) == {"entityId", "accountId"}, persisted
    assert persisted["accountId"] == ""
    return str(persisted["entityId"])


def warnings_of(answer: dict[str, Any]) -> set[str]:
    """The codes of the warnings in the receipt of an answer."""
    warnings = answer["eventDetails"].get("warnings", [])
    return {str(entry) if isinstance(entry, str) else str(entry["code"]) for entry in warnings}


def assert_invalid_event(answer: httpx.Response, status: int) -> None:
    """Assert the answer to an invalid event: JSON with error 5."""
    assert answer.status_code == status, f"expected {status}, got {answer.status_code} {answer.text[:300]}"
    assert answer.headers["content-type"].replace(" ", "").lower() == "application/json;charset=utf-8"
    assert answer.json()["errorCode"] == 5
    assert "resolvedUserId" not in answer.json()
    assert "persistedUserId" not in answer.json()


def altered(token: str, at: int) -> str:
    """The token with one character changed."""
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
