"""Shared code of the commands: settings from flags, and services on an open database.

A command that needs the services is written as

    @app.command()
    def create(handle: str) -> None:
        run(lambda services: services.directory.organisations.create(handle))

`run` works with or without a running service, also on its embedded database.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console

from oneself.settings import Loaded, Setting, Settings, list_settings, load

if TYPE_CHECKING:
    from oneself.services import Services

T = TypeVar("T")
PANEL = "Settings"
# The settings with which a command finds its database and keys.
SHARED_SETTINGS = ("data_dir", "database_url", "secret_key")

out = Console(highlight=False)
err = Console(highlight=False, soft_wrap=True, stderr=True)

# The flags of the command of this process.
_flags: dict[str, object] = {}


def load_settings() -> Loaded:
    """Load the settings of this command from its flags, the environment and the settings file."""
    flags = dict(_flags)
    file = flags.pop("settings_file", None)
    return load(flags, file=Path(str(file)) if file else None)


def run(action: Callable[[Services], Awaitable[T]]) -> T:
    """Open the services, await `action(services)`, close everything, and return the result."""
    return asyncio.run(_run(action))


async def _run(action: Callable[[Services], Awaitable[T]]) -> T:
    from oneself import logs
    from oneself.service.acting import act_as
    from oneself.service.context import Actor

    settings = load_settings().settings
    # What a command did is its output; the log has what went wrong, on standard error.
    logs.configure(msgspec.structs.replace(settings, log_level="warning"))
    act_as(Actor("cli"))
    async with open_services_of(settings) as services:
        return await action(services)


@asynccontextmanager
async def open_services_of(settings: Settings) -> AsyncIterator[Services]:
    """Open the services on a migrated database. Starts the embedded database if it is not running."""
    from oneself.bootstrap import open_services
    from oneself.cli.upgrade import upgrade_database

    with database_url(settings) as url:
        await upgrade_database(url)
        async with open_services(settings, url) as services:
            yield services


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The URL of the configured database, else of the embedded database of the data folder."""
    if settings.database_url:
        yield settings.database_url
        return
    from oneself.store.embedded.server import Embedded

    embedded = Embedded.attach(settings.folder)
    try:
        yield embedded.url
    finally:
        embedded.stop()


def accept_settings(callback: Callable[..., Any], names: Iterable[str] | None = None) -> Callable[..., Any]:
    """Add the flag `--settings FILE` and one flag for each setting to a command.

    `names`: the settings; None for all. A setting is omitted if the command has a parameter of the same name.
    """
    signature = inspect.signature(callback, eval_str=True)
    selected = [setting for setting in list_settings() if names is None or setting.name in names]
    flags = [_flag(setting) for setting in selected if setting.name not in signature.parameters]
    flags.append(_settings_file())

    @functools.wraps(callback)
    def with_flags(*args: object, **options: object) -> object:
        _flags.clear()
        _flags.update({flag.name: options.pop(flag.name, None) for flag in flags})
        return callback(*args, **options)

    parameters = [*signature.parameters.values(), *flags]
    with_flags.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_flags


def _flag(setting: Setting) -> inspect.Parameter:
    default = "" if setting.default in (None, ()) else f" Default: {setting.default}."
    option = typer.Option(
        setting.flag,
        help=f"{setting.sentence}{default} [dim]{setting.variable}[/dim]",
        metavar=(setting.unit or setting.kind).replace(" or ", "|").upper(),
        rich_help_panel=PANEL,
        show_default=False,
    )
    return _keyword(setting.name, option)


def _settings_file() -> inspect.Parameter:
    option = typer.Option(
        "--settings",
        help="TOML file with settings. Default: oneself.toml in the data folder. [dim]ONESELF_SETTINGS[/dim]",
        metavar="FILE",
        rich_help_panel=PANEL,
        show_default=False,
    )
    return _keyword("settings_file", option)


def _keyword(name: str, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )
