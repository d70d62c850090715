"""`oneself dataset write-key`: the keys that may send events to a dataset (docs/wire/interactions.md §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_of, show, show_list, timestamp
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.service.events.write_keys import WriteKey
    from oneself.services import Services

ONCE_NOTE = "The key is shown only once. Only its digest is stored."

app = typer.Typer(
    help="Write keys: credentials that may send events to a dataset and read nothing.",
    epilog="Example, a back end: oneself dataset write-key create web 'Order service'",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset. List them: oneself dataset list.")]


@app.command()
def create(
    dataset: Name,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The sender that uses the key, at most 100 characters.")
    ],
    kind: Annotated[
        Literal["server", "browser"],
        typer.Option(
            help="server: a secret of a back end; its events on the channel Server are trusted. browser: "
            "public, in pages and apps; its events are not trusted."
        ),
    ] = "server",
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-origin",
            metavar="ORIGIN",
            help="For a browser key: an origin whose pages may use it. Repeat for more.",
        ),
    ] = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Create a write key. The key is shown only once.

    Example: oneself dataset write-key create web 'Shop' --kind browser --allowed-origin https://shop.example
    """

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.context import Actor
        from oneself.service.events.write_keys import NewWriteKey

        dataset_ref = await dataset_of(services, org, dataset)
        new = NewWriteKey(kind, name, tuple(allowed_origin or ()))
        write_key, text = await services.events.write_keys.create(dataset_ref, new, Actor("cli"))
        return {**_fields(write_key), "key": text}

    show(run(act), as_json=as_json, note=ONCE_NOTE)


@app.command("list")
def list_(dataset: Name, org: Org = None, as_json: AsJson = False) -> None:
    """List the write keys of a dataset, without the keys themselves."""

    async def act(services: Services) -> list[dict[str, Any]]:
        write_keys = await services.events.write_keys.list(await dataset_of(services, org, dataset))
        return [_fields(write_key) for write_key in write_keys]

    show_list("write_keys", run(act), as_json=as_json, empty=f"The dataset {dataset} has no write key.")


@app.command()
def delete(
    dataset: Name,
    key_id: Annotated[
        UUID, typer.Argument(metavar="KEY_ID", help="The id. List them: oneself dataset write-key list.")
    ],
    org: Org = None,
    yes: Yes = False,
) -> None:
    """Delete a write key. Events with the key are rejected."""
    confirm(f"Delete the write key {key_id}? Events with it are rejected.", yes=yes)

    async def act(services: Services) -> None:
        from oneself.service.context import Actor

        dataset_ref = await dataset_of(services, org, dataset)
        if not await services.events.write_keys.delete(dataset_ref, key_id, Actor("cli")):
            raise NotFound(
                f"The dataset {dataset} has no such write key. "
                f"List them: oneself dataset write-key list {dataset}"
            )

    run(act)
    show({"deleted": str(key_id)}, as_json=False)


def _fields(key: WriteKey) -> dict[str, Any]:
    return {
        "key_id": str(key.key_id),
        "kind": key.kind,
        "name": key.name,
        "allowed_origins": list(key.allowed_origins),
        "hint": key.hint,
        "created_at": timestamp(key.created_at),
    }
