"""What every command shares: settings from its flags, an open database, and how bad news is told.

A command that needs the service's use-cases is written as

    @app.command()
    def create(handle: str) -> None:
        run(lambda services: services.directory.organisations.create(handle))

`run` works beside a running service, embedded database included, and without one.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from oneself.settings import Loaded, Setting, Settings, list_settings, load

if TYPE_CHECKING:
    from oneself.services import Services

T = TypeVar("T")
PANEL = "Settings"
# What a command other than `serve` needs to find its database and keys.
SHARED_SETTINGS = ("data_dir", "database_url", "secret_key")

out = Console(highlight=False)
err = Console(highlight=False, soft_wrap=True, stderr=True)

# The flags of the one command of this process.
_flags: dict[str, object] = {}


def load_settings() -> Loaded:
    """The settings of this command: its flags, the environment, the settings file."""
    flags = dict(_flags)
    file = flags.pop("settings_file", None)
    return load(flags, file=Path(str(file)) if file else None)


def run(action: Callable[[Services], Awaitable[T]]) -> T:
    """Open the services, await `action(services)`, close everything; returns what it returned."""
    return asyncio.run(_run(action))


async def _run(action: Callable[[Services], Awaitable[T]]) -> T:
    async with open_services_of(load_settings().settings) as services:
        return await action(services)


@asynccontextmanager
async def open_services_of(settings: Settings) -> AsyncIterator[Services]:
    """The services on an up-to-date database, which is started for the occasion if nobody runs it."""
    from oneself.bootstrap import open_services
    from oneself.cli.upgrade import upgrade_database

    with database_url(settings) as url:
        await upgrade_database(url)
        async with open_services(settings, url) as services:
            yield services


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The address of the database: the given one, else the embedded one of the data folder."""
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
    """Give a command one flag per setting (all of them, or those named) and `--settings FILE`.

    A setting whose name the command already uses for a parameter of its own is left out.
    """
    signature = inspect.signature(callback, eval_str=True)
    selected = [s for s in list_settings() if names is None or s.name in names]
    flags = [_flag(s) for s in selected if s.name not in signature.parameters] + [_settings_file()]

    @functools.wraps(callback)
    def with_flags(*args: object, **given: object) -> object:
        _flags.clear()
        _flags.update({flag.name: given.pop(flag.name, None) for flag in flags})
        return callback(*args, **given)

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
