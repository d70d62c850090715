"""`oneself token-key`: the encryption keys of persisted tokens (docs/wire/interactions.md §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.service.events.token_keys import TokenKeyState
    from oneself.services import Services

app = typer.Typer(
    help="Token keys: encryption keys of the tokens that identify a browser.",
    epilog="Rotate the key once a month: oneself token-key rotate",
    no_args_is_help=True,
)

KeyId = Annotated[
    int,
    typer.Argument(
        metavar="KEY_ID", min=1, max=65_535, help="The number. List them: oneself token-key list."
    ),
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the keys that decrypt tokens. The active one encrypts new tokens."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [_fields(key) for key in await services.events.token_keys.list(dataset_ref)]

    empty = "There is no token key yet. The service creates the first one when it needs it."
    show_list("token_keys", run(act), as_json=as_json, empty=empty)


@app.command()
def rotate(org: Org = None, as_json: AsJson = False) -> None:
    """Create a new key. It encrypts tokens after one minute; existing tokens stay valid."""

    async def act(services: Services) -> dict[str, Any]:
        return _fields(await services.events.token_keys.rotate(await dataset_ref_of(services, org)))

    show(run(act), as_json=as_json)


@app.command()
def destroy(key_id: KeyId, org: Org = None, yes: Yes = False) -> None:
    """Destroy a key that is not active. Its tokens become invalid within ten seconds."""
    confirm(f"Destroy the key {key_id}? All tokens encrypted with it become invalid.", yes=yes)

    async def act(services: Services) -> None:
        if not await services.events.token_keys.destroy(await dataset_ref_of(services, org), key_id):
            raise NotFound("There is no token key with this number. List them: oneself token-key list")

    run(act)
    show({"destroyed": key_id}, as_json=False)


def _fields(key: TokenKeyState) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "state": key.state,
        "created_at": timestamp(key.created_at),
        "active_from": timestamp(key.active_from),
    }
