"""`oneself sdk`: what a page has to load the web SDK."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from oneself.cli.context import err, load_settings
from oneself.errors import Fatal
from oneself.web.sdk import Script, find_scripts, snippet

app = typer.Typer()


@app.command()
def sdk(
    org: Annotated[
        str, typer.Option(metavar="HANDLE", help="The organisation. Default: that of the setting.")
    ] = "",
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="The dataset that receives the events.")
    ] = "default",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print addresses, digests and sizes of the scripts.")
    ] = False,
) -> None:
    """Print what a page has in its <head> to use the web SDK.

    The address of the script has its version, so that browsers store it for a year. With the digest (SRI), a
    browser runs this script and no other one: print it again after an upgrade.
    """
    settings = load_settings().settings
    scripts = find_scripts()
    if not scripts:
        raise Fatal("The web SDK is not in this installation: run tools/build-sdk.")
    if as_json:
        listed = {script.name: _document(script, settings.url) for script in scripts}
        typer.echo(msgspec.json.format(msgspec.json.encode(listed), indent=2))
        return
    typer.echo(snippet(scripts[0], settings.url, org or settings.organisation, dataset), nl=False)
    err.print(f"Put this into the <head> of each page. The script has {scripts[0].size} bytes, compressed.")


def _document(script: Script, url: str) -> dict[str, str | int]:
    return {
        "address": f"{url}{script.path}",
        "integrity": script.integrity,
        "bytes": script.size,
    }
