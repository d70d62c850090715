"""`oneself token-key`: the keys that persisted tokens are sealed with (wire/interactions §7)."""

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
    help="Token keys: what seals the tokens by which browsers remember who they were.",
    epilog="Once a month: oneself token-key rotate",
    no_args_is_help=True,
)

KeyId = Annotated[
    int, typer.Argument(metavar="KEY_ID", min=1, max=65_535, help="Its number; see: oneself token-key list.")
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the keys that open tokens; the active one seals them."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [_facts(key) for key in await services.events.token_keys.list(dataset_ref)]

    empty = "There is no token key yet; the first is made when it is needed."
    show_list("token_keys", run(act), as_json=as_json, empty=empty)


@app.command()
def rotate(org: Org = None, as_json: AsJson = False) -> None:
    """Make a new key, which seals from a minute on; tokens sealed before go on opening."""

    async def act(services: Services) -> dict[str, Any]:
        return _facts(await services.events.token_keys.rotate(await dataset_ref_of(services, org)))

    show(run(act), as_json=as_json)


@app.command()
def destroy(key_id: KeyId, org: Org = None, yes: Yes = False) -> None:
    """Destroy a key that is not active; within ten seconds its tokens open no more."""
    confirm(f"Let no token that the key {key_id} sealed open any more?", yes=yes)

    async def act(services: Services) -> None:
        if not await services.events.token_keys.destroy(await dataset_ref_of(services, org), key_id):
            raise NotFound("There is no such token key; see: oneself token-key list")

    run(act)
    show({"destroyed": key_id}, as_json=False)


def _facts(key: TokenKeyState) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "state": key.state,
        "created_at": timestamp(key.created_at),
        "active_from": timestamp(key.active_from),
    }
