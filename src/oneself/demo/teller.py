"""How the story is told: every request, its answer, and what it changed.

Law of this module: it prints, it never asks the service anything. What a profile was like is remembered from
the answers that passed, so that "changed" is the difference between two answers.
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
# Long and unreadable: only their beginning is shown.
TOKENS = {"access_token", "id_token", "code", "code_challenge", "code_verifier", "state", "nonce", "csrf"}
UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
VALUES = ("user_id", "merged_to", "merged_from", "identity_attributes", "traits", "application_data")


class Broken(Exception):
    """The service did not do what the story promises."""


class Teller:
    """Prints the story. `seen`: the last known state of each profile, as flat paths."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, dict[str, Any]] = {}
        self._chapter = 0
        self._query = ""

    def say(self, text: str = "") -> None:
        """A paragraph of prose."""
        self._console.print(text, highlight=False)

    def chapter(self, title: str, text: str) -> None:
        """A new scene."""
        self._chapter += 1
        self._console.print()
        self._console.rule(f"[bold]{self._chapter}. {title}[/]", align="left", style="cyan")
        self.say(text)

    def command(self, line: str) -> None:
        """A command line that is run."""
        self._console.print(f"\n  [bold cyan]$[/] {escape(line)}", soft_wrap=True)

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> None:
        """What is sent: `path` with its query, a JSON `body` or the fields of a `form`."""
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
        """What came back."""
        style = "green" if status < 400 else "yellow"
        note = f"  [italic]{escape(meaning)}[/]" if meaning else ""
        self._console.print(f"    [{style}]→ {status} {phrase}[/]{note}", soft_wrap=True)

    def fact(self, name: str, value: str, meaning: str = "") -> None:
        """One thing of an answer that matters later."""
        note = f"  [dim]{meaning}[/]" if meaning else ""
        self._console.print(f"      {name:<11} [bold]{escape(value)}[/]{note}", soft_wrap=True)

    def profile(self, document: Mapping[str, Any]) -> None:
        """What is new about a profile since it was last seen."""
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
        """Where each value of a profile came from."""
        self._console.print("      [dim]Where each value comes from (face, application, time):[/]")
        sources = document.get("provenance", {})
        for path in (path for path in flat(document) if path in sources):
            words = "; ".join(sources_of(sources[path]))
            self._console.print(f"        {escape(short(path)):<42} [dim]{words}[/]", soft_wrap=True)

    def expect(self, condition: bool, sentence: str) -> None:
        """A promise of the story that was just kept. Raises Broken when it was not."""
        if not condition:
            raise Broken(sentence)
        self._console.print(Padding(Text.from_markup(f"[bold green]✓[/] {sentence}"), (0, 0, 0, 4)))

    def _aside(self, line: str) -> None:
        self._console.print(f"        [dim]{escape(line)}[/]", soft_wrap=True)

    def _change(self, sign: str, style: str, path: str, value: object) -> None:
        words = cut(short(msgspec.json.encode(value).decode()))
        self._console.print(
            f"      [{style}]{sign} {escape(short(path))} = {escape(words)}[/]", soft_wrap=True
        )


def json_lines(body: Any) -> list[str]:
    """JSON on one line where it fits, else a line for each member."""
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
    """Parameters of a query or fields of a form, one a line; empty ones are left out."""
    return [f"{name}={form_field(name, value)}" for name, value in form.items() if value]


def form_field(name: str, value: str) -> str:
    """A value as it is printed: secrets are dots, tokens only begin."""
    if name in SECRETS:
        return "••••••"
    if name in TOKENS or len(value) > 3 * VALUE_CHARACTERS_MAX:
        return f"{value[:8]}…"
    return short(value)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted paths."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key != "merged_to":
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def short(text: str) -> str:
    """Ids by their first eight characters."""
    return UUID.sub(r"\1…", text)


def cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"


def sources_of(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who said it, with the times of day."""
    times: dict[str, list[str]] = {}
    for source in sources:
        who = f"{source['face']} through {source['application']}"
        times.setdefault(who, []).append(str(source["time"])[11:19])
    return [f"{who}, {' and '.join(seen)}" for who, seen in times.items()]
