"""`oneself settings`: lists the settings with their effective values and sources."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.padding import Padding

from oneself.cli.context import err, load_settings, out
from oneself.settings import Loaded, Setting, Settings, list_settings

app = typer.Typer()
MASK = "••••••"


@app.command()
def settings(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List all settings with value, source and description. Secrets are masked.

    A flag overrides the environment, the environment overrides the settings file, and the file overrides the
    default. The flag of ONESELF_PORT is --port; its line in the settings file is: port = 8700
    """
    loaded = load_settings()
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_rows(loaded)), indent=2))
        return
    for row in _rows(loaded).values():
        _print(row)
    out.print(f"Settings file: {loaded.file or 'none'}", soft_wrap=True)
    for name in loaded.unknown_variables:
        err.print(f"{name} is set in the environment, but no setting has this name.")


def display(setting: Setting, value: object) -> str:
    """Format a value; a secret is masked."""
    if value in (None, ()):
        return ""
    if setting.secret:
        return MASK
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _rows(loaded: Loaded) -> dict[str, dict[str, str]]:
    return {
        setting.name: {
            "value": display(setting, _effective(loaded.settings, setting)),
            "source": loaded.sources[setting.name],
            "variable": setting.variable,
            "flag": setting.flag,
            "type": setting.kind,
            "unit": setting.unit,
            "default": display(setting, setting.default),
            "sentence": setting.sentence,
        }
        for setting in list_settings()
    }


def _effective(settings: Settings, setting: Setting) -> object:
    return settings.folder if setting.name == "data_dir" else getattr(settings, setting.name)


def _print(row: dict[str, str]) -> None:
    value = row["value"] or "[dim]unset[/]"
    unit = f" ({row['unit']})" if row["unit"] else ""
    out.print(f"[bold]{row['variable']}[/] = {value}  [dim]{row['source']}[/]", soft_wrap=True)
    out.print(Padding(row["sentence"] + unit, (0, 0, 0, 4)))
