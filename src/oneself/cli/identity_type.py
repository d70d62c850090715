"""`oneself identity-type`: the identity types of an organisation, shared by its datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.change_preview import Preview, preview_change
from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_of, dataset_ref_of, show, show_list

if TYPE_CHECKING:
    from oneself.core.identity.identity_type import IdentityType
    from oneself.service.configuration import PlannedChange
    from oneself.service.context import DatasetRef
    from oneself.services import Services

app = typer.Typer(
    help="Identity types: kinds of identifiers, such as emailAddress. Datasets bind attributes to them.",
    epilog="Example: oneself identity-type create loyaltyId --label 'Loyalty number'",
    no_args_is_help=True,
)

#: The values of `uniqueness` in the admin interface.
UNIQUENESS = {True: "Identity Namespace", False: "Not Unique"}
TypeId = Annotated[str, typer.Argument(metavar="ID", help="Letters and digits, e.g. loyaltyId.")]
Label = Annotated[str | None, typer.Option(help="The display name.")]
Trusted = Annotated[
    bool | None,
    typer.Option("--trusted-only/--any-source", help="Whether only servers may send a value."),
]
Proves = Annotated[
    bool | None,
    typer.Option(
        "--proves-identity/--proves-nothing",
        help="Whether a user of whom a server said a value owns what servers began with it. Default: no.",
    ),
]
Conflict = Annotated[
    bool | None,
    typer.Option(
        "--conflict-blocks-merge/--newest-wins",
        help="For profiles with different values: refuse the merge, or keep the newest value.",
    ),
]
Block = Annotated[
    list[str] | None,
    typer.Option(
        "--block", metavar="VALUE", help="A value that never identifies a profile. Repeat for more."
    ),
]
Defaults = Annotated[
    bool | None,
    typer.Option("--block-defaults/--no-block-defaults", help="Whether null, n/a, 0000… are also blocked."),
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List all identity types, the built-in ones first."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [
            _fields(identity_type) for identity_type in await services.schema.identity_types.list(dataset_ref)
        ]

    show_list("identity_types", run(act), as_json=as_json, empty="There is no identity type.")


@app.command()
def create(
    type_id: TypeId,
    label: Label = None,
    not_unique: Annotated[
        bool, typer.Option("--not-unique", help="Different profiles may share a value; it never matches.")
    ] = False,
    case_sensitive: Annotated[
        bool, typer.Option("--case-sensitive", help="'A1' and 'a1' are different values.")
    ] = False,
    trusted_only: Trusted = None,
    proves_identity: Proves = None,
    conflict_blocks_merge: Conflict = None,
    block: Block = None,
    block_defaults: Defaults = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Create an identity type. Uniqueness and case sensitivity cannot be changed later.

    Example: oneself identity-type create loyaltyId --label 'Loyalty number' --trusted-only
    """

    async def act(services: Services) -> dict[str, Any]:
        from oneself.core.identity.identity_type import IdentityType

        dataset_ref = await dataset_ref_of(services, org)
        options = _set_options(
            None, trusted_only, proves_identity, conflict_blocks_merge, block, block_defaults
        )
        new = IdentityType(type_id, label or type_id, not not_unique, case_sensitive, **options)
        return _fields(await services.schema.identity_types.create(dataset_ref, new))

    show(run(act), as_json=as_json)


@app.command()
def change(
    type_id: TypeId,
    label: Label = None,
    trusted_only: Trusted = None,
    proves_identity: Proves = None,
    conflict_blocks_merge: Conflict = None,
    block: Block = None,
    block_defaults: Defaults = None,
    preview: Preview = False,
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", metavar="NAME", help="With --preview: the dataset to look at.")
    ] = "default",
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change the label, options and blocked values of a type, in every dataset. --block '' alone clears the
    list.

    Example: oneself identity-type change emailAddress --block desk@acme.example --preview
    """
    options = _set_options(label, trusted_only, proves_identity, conflict_blocks_merge, block, block_defaults)

    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        from oneself.service.schema.identity_types import plan_type_change

        return await dataset_of(services, org, dataset), [plan_type_change(type_id, options)]

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(await services.schema.identity_types.change(dataset_ref, type_id, options))

    if preview:
        preview_change(plan, as_json=as_json)
    else:
        show(run(act), as_json=as_json)


@app.command()
def delete(type_id: TypeId, org: Org = None, yes: Yes = False) -> None:
    """Delete an identity type that no dataset binds and that has no values."""
    confirm(f"Delete the identity type {type_id}?", yes=yes)

    async def act(services: Services) -> None:
        await services.schema.identity_types.delete(await dataset_ref_of(services, org), type_id)

    run(act)
    show({"deleted": type_id}, as_json=False)


def _set_options(
    label: str | None,
    trusted_only: bool | None,
    proves_identity: bool | None,
    conflict_blocks_merge: bool | None,
    block: list[str] | None,
    block_defaults: bool | None,
) -> dict[str, Any]:
    """The options that were set, by field name of IdentityType."""
    options = {
        "label": label,
        "trusted_only": trusted_only,
        "proves_identity": proves_identity,
        "conflict_blocks_merge": conflict_blocks_merge,
        "blocked_values": tuple(value for value in block if value) if block else None,
        "blocks_default_values": block_defaults,
    }
    return {name: value for name, value in options.items() if value is not None}


def _fields(identity_type: IdentityType) -> dict[str, Any]:
    return {
        "id": identity_type.type_id,
        "label": identity_type.label,
        "uniqueness": UNIQUENESS[identity_type.is_unique],
        "case_sensitive": identity_type.case_sensitive,
        "built_in": identity_type.built_in,
        "trusted_only": identity_type.trusted_only,
        "proves_identity": identity_type.proves_identity,
        "conflict_blocks_merge": identity_type.conflict_blocks_merge,
        "blocked_values": list(identity_type.blocked_values),
        "blocks_default_values": identity_type.blocks_default_values,
    }
