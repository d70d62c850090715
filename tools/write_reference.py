"""Write the pages of docs/reference that list things from the code that they are about.

`make reference` runs it; a test fails when the pages are not what it would write.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.routes import HTTPRoute
from typer.main import get_command

from oneself.api.app import create_framework
from oneself.cli.context import PANEL
from oneself.cli.main import app
from oneself.settings import Setting, Settings, list_settings

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by make reference. Change the code it reads, not this page. -->"
CLI_INTRODUCTION = """\
# Command line

Every command works beside a running service, the embedded database included: it finds the database through
the same [settings](settings.md), as flags (`--data-dir`), environment (`ONESELF_DATA_DIR`) or settings file.
`oneself serve` and `oneself settings` take a flag for every setting, the other commands `--data-dir`,
`--database-url`, `--secret-key` and `--settings`; `oneself demo` takes none of them.

Exit code 0 means done, 1 refused or not as it should be, 2 a wrong command line; everything else is a failure
of the world, told in one sentence ([errors](errors.md#exit-codes)).

| command | does |
|---|---|"""
SETTINGS_INTRODUCTION = """\
# Settings

A flag wins over the environment, the environment over the settings file, the file over the default. The flag
of `ONESELF_PORT` is `--port`; its line in the settings file is `port = 8700`. The file is the one that
`--settings` or `ONESELF_SETTINGS` names, else `oneself.toml` in the data folder if it is there.
[`oneself settings`](cli.md#oneself-settings) prints this list with the values that hold and where each came
from. Secrets (†) are masked there, and are in no log.

| variable | takes | default | what it does |
|---|---|---|---|"""
SETTINGS_END = """
Without `ONESELF_DATA_DIR` the data folder is `/var/lib/oneself` for root, and the user's data folder for
everybody else (`~/.local/share/oneself` on Linux).
"""

REST_INTRODUCTION = """\
# HTTP

The full reference, with bodies, answers and a way to try each request, is at `/docs` of a running service,
its description (OpenAPI 3.1) at `/openapi.json`. It needs no internet. This page is the list of addresses.

## Customer data service

JSON in UTF-8; `Authorization: Bearer <token>`; errors as in [errors](errors.md). Paths are below
`/t/{org}/cds/api/v1`, permissions carry the prefix `internal_cds_`. A person's token reaches the operations
marked †, and there the person's own profile ([Trust](../concepts/trust.md#what-a-caller-reaches)). All others
are 403.

| | path | permission | |
|---|---|---|---|"""
ADMIN_INTRODUCTION = """
## What that wire has no word for

The same tokens and errors, below `/t/{org}/api/v1`.

| | path | permission | |
|---|---|---|---|"""
CDS, ADMIN = "/t/{org}/cds/api/v1", "/t/{org}/api/v1"
REST_END = """
## Both

* **Versions.** Answers with one profile have an `ETag`. PATCH and DELETE accept `If-Match`; stale is 412.
* **Sent twice.** POST and PATCH accept `Idempotency-Key`; a repeat gets the first answer.
* **Lists.** `page_size` (5, at most 200), `cursor`, `attributes=traits,…`, `filter=traits.plan eq gold`
  (`eq`, `co`, `sw`; several with ` and `).
* **Bodies** are at most 1 MiB.

## Signing in, and tokens

| path | |
|---|---|"""
#: What the addresses outside the description are for.
SIGN_IN = {
    "/t/{org}/oauth2/authorize": "send a browser here to sign in; takes `anonymous_profile_tracker`",
    "/t/{org}/oauth2/token": "client credentials, authorization code with PKCE, refresh token",
    "/t/{org}/oauth2/introspect": "is this token good? (RFC 7662)",
    "/t/{org}/oauth2/revoke": "end a token (RFC 7009)",
    "/t/{org}/oauth2/userinfo": "the claims of the signed-in person",
    "/t/{org}/oauth2/logout": "sign out (OpenID Connect RP-initiated logout)",
    "/t/{org}/oauth2/jwks": "the public keys",
    "/t/{org}/.well-known/openid-configuration": "discovery",
    "/t/{org}/.well-known/oauth-authorization-server": "the same (RFC 8414)",
    "/t/{org}/oauth2/token/.well-known/openid-configuration": "the same, where WSO2 has it",
    "/t/{org}/accounts/register": "the page to create an account",
    "/t/{org}/accounts/login": "the page to sign in",
    "/t/{org}/accounts": "who is signed in in this browser",
}
#: Addresses of the event wire outside the description; `/t/{org}` in front names another organisation.
EVENT_WIRE = {
    "/api/dataset/{dataset}/user/{user_id}": "GET: one user, by primary id, anonymous id or alias",
    "/api/dataset/{dataset}/users.json": "GET: users, the newest first; `pageSize` up to 1000, `page` from 1",
    "/api/dataset/{dataset}/users.csv": "GET: the same, a line for each user",
    "/api/dataset/{dataset}/users/delete": "POST: erase whom `file=@users.csv` names below `name`",
    "/api/audit/list": "GET: changes of configuration and erasures, at most 50 days; `pageSize` up to 2000",
}
LOOKUPS = """
## Users on the event wire

Also below `/t/{org}`; without it the default organisation is meant. HTTP Basic with the id and secret of an
application that holds `internal_cds_event_create`. [Look people up](../guides/look-people-up.md) tells more.

| path | |
|---|---|"""
#: Parts of pages, which nobody asks for by hand.
PARTS = re.compile(r"/docs/|/accounts/.*\.css$|^/schema")
OPERATIONS = """
## Operations

| path | |
|---|---|"""


def main() -> int:
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, "utf-8")
    return 0


def pages() -> dict[str, str]:
    """The pages by file name, as they should be."""
    return {
        "cli.md": "\n".join(cli_page()),
        "settings.md": "\n".join(settings_page()),
        "rest.md": "\n".join(rest_page()),
    }


def cli_page() -> Iterator[str]:
    yield WRITTEN
    yield CLI_INTRODUCTION
    found = [(name, command) for name, command in commands() if not hasattr(command, "commands")]
    for name, command in found:
        yield f"| [`oneself {name}`](#{anchor(name)}) | {first_sentence(command)} |"
    for name, command in found:
        yield from command_section(name, command)
    yield ""


def command_section(name: str, command: Any) -> Iterator[str]:
    yield ""
    yield f"## oneself {name}"
    yield ""
    yield prose(command.help)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not is_setting(p)]
    shown = " ".join(["oneself", name, *(a.metavar or a.name.upper() for a in arguments)])
    yield ""
    yield "```"
    yield f"{shown} [OPTIONS]" if options else shown
    yield "```"
    if arguments or options:
        yield ""
        yield "| | |"
        yield "|---|---|"
    for argument in arguments:
        yield f"| `{argument.metavar or argument.name.upper()}` | {plain(argument.help or '')} |"
    for option in options:
        yield f"| {spelling(option)} | {plain(option.help or '')} |"


def spelling(option: Any) -> str:
    """The names of an option, with what it takes; of a switch, those that turn it off as well."""
    names = sorted(option.opts, key=len, reverse=True) + option.secondary_opts
    kind = option.display_type(None).strip("<>")
    takes = option.metavar or (kind if "|" in kind else kind.replace("str", "text").upper())
    value = "" if option.is_bool_flag else " " + takes.replace("|", "\\|")
    return ", ".join(f"`{name}{value}`" for name in names)


def is_setting(option: Any) -> bool:
    return getattr(option, "rich_help_panel", None) == PANEL or option.name == "help"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, groups included, in the order of `oneself --help`."""
    root = get_command(app)
    yield from below("", root)


def below(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield f"{prefix}{name}", command
        if hasattr(command, "commands"):
            yield from below(f"{prefix}{name} ", command)


def settings_page() -> Iterator[str]:
    yield WRITTEN
    yield SETTINGS_INTRODUCTION
    yield from map(setting_row, list_settings())
    yield SETTINGS_END


def setting_row(setting: Setting) -> str:
    default = "" if setting.default in (None, ()) else f"`{setting.default}`"
    mark = " †" if setting.secret else ""
    takes = (setting.unit or setting.kind).replace("|", "\\|")
    return f"| `{setting.variable}`{mark} | {takes} | {default} | {plain(setting.sentence)} |"


def rest_page() -> Iterator[str]:
    api = create_framework(Settings(), {})
    described = api.openapi_schema.to_schema()["paths"]
    yield WRITTEN
    yield REST_INTRODUCTION
    yield from operation_rows(api, CDS)
    yield ADMIN_INTRODUCTION
    yield from operation_rows(api, ADMIN)
    yield REST_END
    yield from (f"| `{path}` | {words} |" for path, words in SIGN_IN.items())
    yield LOOKUPS
    yield from (f"| `{path}` | {words} |" for path, words in EVENT_WIRE.items())
    yield OPERATIONS
    for path, operations in sorted(described.items()):
        if not path.startswith("/t/"):
            yield f"| `{path}` | {lowered(operations['get']['description'])} |"
    yield "| `/docs`, `/openapi.json` | the reference |"
    yield ""
    named = EVENT_WIRE.keys() | {f"/t/{{org}}{path}" for path in EVENT_WIRE}
    left_out = undescribed(api) - SIGN_IN.keys() - named - {"/docs", "/openapi.json"}
    assert not left_out, f"say in SIGN_IN or EVENT_WIRE what they are for: {left_out}"


def operation_rows(api: Litestar, base: str) -> Iterator[str]:
    """The operations below an address, by path."""
    for route in sorted((r for r in api.routes if isinstance(r, HTTPRoute)), key=lambda r: r.path):
        path = plain_path(route.path)
        if not path.startswith(base):
            continue
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if method in route.route_handler_map:
                handler = route.route_handler_map[method][0]
                needed = f"`{handler.opt['permission']}`" if "permission" in handler.opt else "HTTP Basic"
                needed += " †" if handler.opt.get("serves_persons") else ""
                words = " ".join((handler.fn.__doc__ or "").split())
                yield f"| {method} | `{path.removeprefix(base)}` | {needed} | {lowered(words)} |"


def undescribed(api: Litestar) -> set[str]:
    """Addresses that the description leaves out because no program reads them there."""
    routes = [route for route in api.routes if isinstance(route, HTTPRoute)]
    described = api.openapi_schema.to_schema()["paths"]
    paths = {plain_path(route.path) for route in routes} - described.keys()
    return {path for path in paths if not PARTS.search(path)}


def plain_path(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def lowered(sentence: str) -> str:
    """A sentence as an entry of a table."""
    words = sentence.strip().rstrip(".")
    return plain(words if words[1:2].isupper() else words[:1].lower() + words[1:])


def first_sentence(command: Any) -> str:
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) ", text)[0]


def prose(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def plain(text: str) -> str:
    """Without Rich's markup, and fit for a table."""
    return re.sub(r"\[/?[a-z ]+\]|\[/\]", "", text).replace("|", "\\|").strip()


def anchor(name: str) -> str:
    return f"oneself {name}".replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
