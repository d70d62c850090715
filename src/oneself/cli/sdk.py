"""`oneself sdk`: what a page has to load the web SDK."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from oneself.cli.context import err, load_settings
from oneself.errors import Fatal
from oneself.web.sdk import find_scripts, script_tag, snippet

app = typer.Typer()


@app.command()
def sdk(
    org: Annotated[str, typer.Option(metavar="HANDLE", help="The organisation.")] = "",
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The dataset that receives the events.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print addresses, digests and sizes as JSON.")] = False,
) -> None:
    """Print what a page has in its <head> to use the web SDK.

    The address of the script has its version, so that browsers store it for a year, and the digest (SRI) makes sure
    that the page gets this script. After an upgrade, print it again: a page with the former version keeps the script
    that it knows, and an address without ?v= and integrity always loads the current one.
    """
    settings = load_settings().settings
    scripts = find_scripts()
    if not scripts:
        raise Fatal("The web SDK is not in this installation. Run tools/build-sdk, or install a released package.")
    if as_json:
        listed = {
            script.name: {
                "address": f"{settings.url}/sdk/{script.name}?v={script.version}",
                "integrity": script.integrity,
                "bytes": script.size,
            }
            for script in scripts
        }
        typer.echo(msgspec.json.format(msgspec.json.encode(listed), indent=2))
        return
    handle = org or settings.organisation or "acme"
    typer.echo(snippet(scripts[0], settings.url, handle, dataset), nl=False)
    err.print(f"{scripts[0].name} is {scripts[0].size} bytes, compressed. Put this into the <head> of each page.")
