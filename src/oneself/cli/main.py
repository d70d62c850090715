"""The command `oneself`. The module of a command is imported when the command is used.

To add a command, add a line to COMMANDS and a module with `app`, a `typer.Typer`. An app with one command
becomes that command; an app with several becomes a group. Every command has the flags of the shared settings.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup
from typer.main import get_command

from oneself import __version__
from oneself.cli.context import SHARED_SETTINGS, accept_settings, err
from oneself.core.text import is_storable
from oneself.errors import Fatal, OneselfError, RequestError


class Command(msgspec.Struct, frozen=True):
    """A command or group and its module.

    `every_setting`: it has a flag for each setting, not only for the shared ones. `no_settings`: it has none.
    """

    name: str
    module: str
    every_setting: bool = False
    no_settings: bool = False


COMMANDS = (
    Command("serve", "oneself.cli.serve", every_setting=True),
    Command("settings", "oneself.cli.settings", every_setting=True),
    Command("org", "oneself.cli.org"),
    Command("app", "oneself.cli.app"),
    Command("user", "oneself.cli.user"),
    Command("console-user", "oneself.cli.console_user"),
    Command("issuer", "oneself.cli.issuer"),
    Command("webhook", "oneself.cli.webhook"),
    Command("token-key", "oneself.cli.token_key"),
    Command("claims", "oneself.cli.claims"),
    Command("dataset", "oneself.cli.dataset"),
    Command("identity-type", "oneself.cli.identity_type"),
    Command("identity", "oneself.cli.identity"),
    Command("rule", "oneself.cli.rule"),
    Command("protection", "oneself.cli.protection"),
    Command("person", "oneself.cli.person"),
    Command("resolve", "oneself.cli.resolve"),
    Command("events", "oneself.cli.events"),
    Command("sdk", "oneself.cli.sdk"),
    Command("doctor", "oneself.cli.doctor"),
    Command("verify", "oneself.cli.verify"),
    Command("rebuild", "oneself.cli.rebuild"),
    Command("upgrade", "oneself.cli.upgrade"),
    Command("demo", "oneself.cli.demo", no_settings=True),
)


class Commands(TyperGroup):
    """Imports the module of a command only when the command is used or its help is shown."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [command.name for command in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = next((command for command in COMMANDS if command.name == cmd_name), None)
        if command is None:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(command)
        return self.commands[cmd_name]


app = typer.Typer(
    cls=Commands,
    help="Oneself: a customer data service that keeps one profile per person.",
    epilog="Start the service: oneself serve. List settings: oneself settings. "
    "Check the installation: oneself doctor.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"oneself {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. A OneselfError is printed as one sentence and sets the exit code."""
    for number, argument in enumerate(sys.argv[1:], 1):
        if not is_storable(argument):
            _fail(f"Argument {number} is not valid UTF-8. Write every argument in UTF-8.", 2)
    try:
        app(prog_name="oneself")
    except RequestError as error:
        _fail(error.description or error.message, 1)
    except Fatal as error:
        _fail(error.message, error.exit_code)
    except OneselfError as error:
        _fail(f"{error.message} Run `oneself doctor` for details.", os.EX_TEMPFAIL)


def _fail(sentence: str, code: int) -> None:
    err.print(
        f"[bold red]oneself:[/] {sentence}" if err.is_terminal else f"oneself: {sentence}",
        markup=err.is_terminal,
    )
    sys.exit(code)


def _load(command: Command) -> Any:
    module = importlib.import_module(command.module)
    names = None if command.every_setting else SHARED_SETTINGS
    module_app = module.app if command.no_settings else _with_settings(module.app, names)
    module_app._add_completion = False
    loaded = get_command(module_app)
    loaded.name = command.name
    return loaded


def _with_settings(app: typer.Typer, names: tuple[str, ...] | None) -> typer.Typer:
    for registered in app.registered_commands:
        if registered.callback is not None and not hasattr(registered.callback, "__wrapped__"):
            registered.callback = accept_settings(registered.callback, names)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _with_settings(group.typer_instance, names)
    app._add_completion = False
    return app
