"""`oneself identity-type`: what may identify a person, the same in every dataset of an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list

if TYPE_CHECKING:
    from oneself.core.identity.identity_type import IdentityType
    from oneself.services import Services

app = typer.Typer(
    help="Identity types: what may identify a person, such as emailAddress, where a dataset binds it.",
    epilog="A loyalty number: oneself identity-type create loyaltyId --label 'Loyalty number'",
    no_args_is_help=True,
)

#: Whether a type is unique, in the words of the admin interface.
UNIQUENESS = {True: "Identity Namespace", False: "Not Unique"}
TypeId = Annotated[str, typer.Argument(metavar="ID", help="Letters and digits, e.g. loyaltyId.")]
Label = Annotated[str | None, typer.Option(help="What people call it.")]
Trusted = Annotated[
    bool | None,
    typer.Option("--trusted-only/--any-source", help="Whether only servers may bring a value."),
]
Conflict = Annotated[
    bool | None,
    typer.Option(
        "--conflict-blocks-merge/--newest-wins",
        help="Whether different values keep people apart, or the newest value wins.",
    ),
]
Block = Annotated[
    list[str] | None,
    typer.Option("--block", metavar="VALUE", help="A value that identifies nobody; repeat for more."),
]
Defaults = Annotated[
    bool | None,
    typer.Option(
        "--block-defaults/--no-block-defaults", help="Whether null, n/a, 0000… identify nobody, too."
    ),
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List every type, the built-in ones first."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [
            _facts(identity_type) for identity_type in await services.schema.identity_types.list(dataset_ref)
        ]

    show_list("identity_types", run(act), as_json=as_json, empty="There is no identity type.")


@app.command()
def create(
    type_id: TypeId,
    label: Label = None,
    not_unique: Annotated[
        bool, typer.Option("--not-unique", help="Many people may share a value: it never matches.")
    ] = False,
    case_sensitive: Annotated[
        bool, typer.Option("--case-sensitive", help="'A1' and 'a1' are two values.")
    ] = False,
    trusted_only: Trusted = None,
    conflict_blocks_merge: Conflict = None,
    block: Block = None,
    block_defaults: Defaults = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Add a type. Uniqueness and case sensitivity are chosen now and never change.

    Example: oneself identity-type create loyaltyId --label 'Loyalty number' --trusted-only
    """

    async def act(services: Services) -> dict[str, Any]:
        from oneself.core.identity.identity_type import IdentityType

        dataset_ref = await dataset_ref_of(services, org)
        given = _given(None, trusted_only, conflict_blocks_merge, block, block_defaults)
        new = IdentityType(type_id, label or type_id, not not_unique, case_sensitive, **given)
        return _facts(await services.schema.identity_types.create(dataset_ref, new))

    show(run(act), as_json=as_json)


@app.command()
def change(
    type_id: TypeId,
    label: Label = None,
    trusted_only: Trusted = None,
    conflict_blocks_merge: Conflict = None,
    block: Block = None,
    block_defaults: Defaults = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change label, guards and blocked values, of a built-in type as well. --block '' alone clears the list.

    Example: oneself identity-type change emailAddress --block desk@acme.example
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        given = _given(label, trusted_only, conflict_blocks_merge, block, block_defaults)
        return _facts(await services.schema.identity_types.change(dataset_ref, type_id, given))

    show(run(act), as_json=as_json)


@app.command()
def delete(type_id: TypeId, org: Org = None, yes: Yes = False) -> None:
    """Remove a type that no dataset binds and nobody holds a value of."""
    confirm(f"Remove the identity type {type_id}?", yes=yes)

    async def act(services: Services) -> None:
        await services.schema.identity_types.delete(await dataset_ref_of(services, org), type_id)

    run(act)
    show({"deleted": type_id}, as_json=False)


def _given(
    label: str | None,
    trusted_only: bool | None,
    conflict_blocks_merge: bool | None,
    block: list[str] | None,
    block_defaults: bool | None,
) -> dict[str, Any]:
    """What was said, by the names of IdentityType."""
    given_fields = {
        "label": label,
        "trusted_only": trusted_only,
        "conflict_blocks_merge": conflict_blocks_merge,
        "blocked_values": tuple(value for value in block if value) if block else None,
        "blocks_default_values": block_defaults,
    }
    return {name: value for name, value in given_fields.items() if value is not None}


def _facts(identity_type: IdentityType) -> dict[str, Any]:
    return {
        "id": identity_type.type_id,
        "label": identity_type.label,
        "uniqueness": UNIQUENESS[identity_type.is_unique],
        "case_sensitive": identity_type.case_sensitive,
        "built_in": identity_type.built_in,
        "trusted_only": identity_type.trusted_only,
        "conflict_blocks_merge": identity_type.conflict_blocks_merge,
        "blocked_values": list(identity_type.blocked_values),
        "blocks_default_values": identity_type.blocks_default_values,
    }
