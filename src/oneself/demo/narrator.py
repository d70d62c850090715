"""Prints the story: requests, responses and what they changed.

Invariants: it only prints and sends no request. Changes of a profile are the difference between the last two
responses that contain it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

VALUE_CHARACTERS_MAX = 74
SECRETS = {"password", "csrf", "code_verifier", "client_secret"}
# Only the first characters of these are printed.
TOKENS = {"access_token", "id_token", "code", "code_challenge", "code_verifier", "state", "nonce", "csrf"}
UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
VALUES = ("user_id", "merged_to", "merged_from", "identity_attributes", "traits", "application_data")


class ExpectationFailed(Exception):
    """The service did not return what the story expects."""


class Narrator:
    """Prints the story."""

    def __init__(self, console: Console) -> None:
        self._console = console
        #: Profile id → path → value, from the last response.
        self._seen: dict[str, dict[str, Any]] = {}
        self._chapter = 0
        self._query = ""

    def say(self, text: str = "") -> None:
        """Print a paragraph."""
        self._console.print(text, highlight=False)

    def chapter(self, title: str, text: str) -> None:
        """Print the title and introduction of a chapter."""
        self._chapter += 1
        self._console.print()
        self._console.rule(f"[bold]{self._chapter}. {title}[/]", align="left", style="cyan")
        self.say(text)

    def command(self, line: str) -> None:
        """Print a command line."""
        self._console.print(f"\n  [bold cyan]$[/] {escape(line)}", soft_wrap=True)

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> None:
        """Print a request. `path`: with its query. `body`: JSON. `form`: form fields."""
        address, _, query = path.partition("?")
        self._console.print(
            f"\n  [bold cyan]{method:<5}[/] [bold]{escape(short(address))}[/]", soft_wrap=True
        )
        repeated = query == self._query and len(query) > VALUE_CHARACTERS_MAX
        for line in ("with the same parameters",) if repeated else form_lines(dict(parse_qsl(query))):
            self._aside(line)
        for line in (*json_lines(body), *form_lines(form or {})):
            self._aside(line)
        self._query = query or self._query

    def answer(self, status: int, phrase: str, meaning: str = "") -> None:
        """Print the status of a response."""
        style = "green" if status < 400 else "yellow"
        note = f"  [italic]{escape(meaning)}[/]" if meaning else ""
        self._console.print(f"    [{style}]→ {status} {phrase}[/]{note}", soft_wrap=True)

    def fact(self, name: str, value: str, meaning: str = "") -> None:
        """Print a value of a response with an explanation."""
        note = f"  [dim]{meaning}[/]" if meaning else ""
        self._console.print(f"      {name:<11} [bold]{escape(value)}[/]{note}", soft_wrap=True)

    def profile(self, document: Mapping[str, Any]) -> None:
        """Print what changed in a profile since the last response."""
        profile_id = document["profile_id"]
        now = flat({key: document[key] for key in VALUES if key in document})
        before = self._seen.get(profile_id, {})
        self._seen[profile_id] = {**before, **now}
        for path, value in now.items():
            if path not in before:
                self._change("+", "green", path, value)
            elif before[path] != value:
                self._change("~", "yellow", path, value)

    def provenance(self, document: Mapping[str, Any]) -> None:
        """Print the sources of the values of a profile."""
        self._console.print("      [dim]Source of each value (interface, application, time):[/]")
        sources = document.get("provenance", {})
        for path in (path for path in flat(document) if path in sources):
            source = "; ".join(sources_of(sources[path]))
            self._console.print(f"        {escape(short(path)):<42} [dim]{source}[/]", soft_wrap=True)

    def expect(self, condition: bool, sentence: str) -> None:
        """Print an expectation that was met. Raises ExpectationFailed if it was not."""
        if not condition:
            raise ExpectationFailed(sentence)
        self._console.print(Padding(Text.from_markup(f"[bold green]✓[/] {sentence}"), (0, 0, 0, 4)))

    def _aside(self, line: str) -> None:
        self._console.print(f"        [dim]{escape(line)}[/]", soft_wrap=True)

    def _change(self, sign: str, style: str, path: str, value: object) -> None:
        text = cut(short(msgspec.json.encode(value).decode()))
        self._console.print(
            f"      [{style}]{sign} {escape(short(path))} = {escape(text)}[/]", soft_wrap=True
        )


def json_lines(body: Any) -> list[str]:
    """Format JSON on one line if it fits, else one line for each member."""
    if body is None:
        return []
    text = short(msgspec.json.encode(body).decode())
    if len(text) <= VALUE_CHARACTERS_MAX:
        return [text]
    if isinstance(body, Mapping):
        members = [f"{name}: {short(msgspec.json.encode(value).decode())}" for name, value in body.items()]
        return ["{ " + members[0], *(f"  {member}" for member in members[1:-1]), f"  {members[-1]} }}"]
    return [line for member in body for line in json_lines(member)]


def form_lines(form: Mapping[str, str]) -> list[str]:
    """Format query parameters or form fields, one per line. Empty ones are omitted."""
    return [f"{name}={form_field(name, value)}" for name, value in form.items() if value]


def form_field(name: str, value: str) -> str:
    """Format a value. Secrets are masked; tokens are shortened."""
    if name in SECRETS:
        return "••••••"
    if name in TOKENS or len(value) > 3 * VALUE_CHARACTERS_MAX:
        return f"{value[:8]}…"
    return short(value)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested objects to dotted paths."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key != "merged_to":
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def short(text: str) -> str:
    """Shorten ids to their first eight characters."""
    return UUID.sub(r"\1…", text)


def cut(text: str) -> str:
    """Truncate a long text."""
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"


def sources_of(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Format the sources of a value: interface, application and times."""
    times: dict[str, list[str]] = {}
    for source in sources:
        origin = f"{source['face']} through {source['application']}"
        times.setdefault(origin, []).append(str(source["time"])[11:19])
    return [f"{origin}, {' and '.join(seen)}" for origin, seen in times.items()]
