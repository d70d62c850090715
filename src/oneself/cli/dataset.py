"""`oneself dataset`: the datasets of an organisation, and what identifies a person in each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import out, run
from oneself.cli.output import (
    AsJson,
    Org,
    Yes,
    confirm,
    dataset_of,
    dataset_ref_of,
    print_preview,
    show,
    show_list,
    timestamp,
)
from oneself.cli.progress_bar import progress_bar
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.core.identity.identity_type import IdentityBinding
    from oneself.service.rules.preview import Preview
    from oneself.service.schema.datasets import Dataset
    from oneself.service.schema.identity_bindings import Binding
    from oneself.services import Services

Change = Callable[["Services", str | None], Awaitable[Any]]

app = typer.Typer(
    help="Datasets. Each has its own profiles, attributes and events.",
    epilog="For a web shop: oneself dataset create web --label 'Web shop', "
    "then: oneself dataset attributes web --bind emailAddress",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(metavar="DATASET", help="The name. List the names: oneself dataset list")
]
Label = Annotated[str | None, typer.Option(help="The display name.")]
Trust = Annotated[
    str | None,
    typer.Option(
        "--identity-trust",
        metavar="timestamp|tiered",
        help="Which identity wins a conflict. timestamp (default): the later one. tiered: a server's before "
        "a browser's.",
    ),
]
Merged = Annotated[
    str | None,
    typer.Option(
        "--merged-anonymous",
        metavar="follow|fresh",
        help="The profile of a browser that returns without an identity. follow (default): the user last "
        "seen on it. fresh: a new profile, for shared devices.",
    ),
]
Visit = Annotated[
    int | None,
    typer.Option(
        "--visit-timeout-millis",
        help="A visit ends this long after its last event: one minute to one day. Default: 30 minutes.",
    ),
]
Remember = Annotated[
    bool | None,
    typer.Option("--remember-me/--no-remember-me", help="Whether a browser keeps its user after the visit."),
]
RememberFor = Annotated[
    int | None,
    typer.Option(
        "--remember-me-millis", help="How long it keeps the user: one day to ten years. Default: two years."
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-origin", metavar="ORIGIN", help="Accept events only from pages of this origin. Repeatable."
    ),
]
UserAttributes = Annotated[
    list[str] | None,
    typer.Option(
        "--user-attribute",
        metavar="NAME[=TYPE]",
        help="An attribute that events may set: String (default), Number, Boolean or Date. Repeatable.",
    ),
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the datasets of the organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        found = await services.schema.datasets.list(await dataset_ref_of(services, org))
        return [_facts(dataset) for dataset in found]

    found = run(act)
    brief = ("name", "label", "pipeline_identity_resolution", "created_at")
    rows = found if as_json else [{key: row[key] for key in brief} for row in found]
    show_list("datasets", rows, as_json=as_json, empty="There is no dataset.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Letters, digits, '.', '_' and '-'.")],
    label: Label = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="Without identity resolution: user.id is the primary id.")
    ] = False,
    identity_trust: Trust = None,
    merged_anonymous: Merged = None,
    visit_timeout_millis: Visit = None,
    remember_me: Remember = None,
    remember_me_millis: RememberFor = None,
    allowed_origin: Origins = None,
    user_attribute: UserAttributes = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Create a dataset. It has the organisation's identity types and no identity attribute.

    Example: oneself dataset create web --label 'Web shop' --user-attribute favColour
    """

    async def act(services: Services) -> dict[str, Any]:
        settings = _settings(
            label, identity_trust, merged_anonymous, visit_timeout_millis, remember_me, remember_me_millis,
            allowed_origin,
        )  # fmt: skip
        settings |= {"pipeline_identity_resolution": False} if legacy else {}
        dataset_ref = await dataset_ref_of(services, org)
        return _facts(
            await services.schema.datasets.create(dataset_ref, name, settings, _attributes(user_attribute))
        )

    show(run(act), as_json=as_json)


@app.command("show")
def show_(name: Name, org: Org = None, as_json: AsJson = False) -> None:
    """Show the settings and user attributes of a dataset."""

    async def act(services: Services) -> dict[str, Any]:
        return _facts(await services.schema.datasets.show(await dataset_ref_of(services, org), name))

    show(run(act), as_json=as_json)


@app.command()
def change(
    name: Name,
    label: Label = None,
    identity_trust: Trust = None,
    merged_anonymous: Merged = None,
    visit_timeout_millis: Visit = None,
    remember_me: Remember = None,
    remember_me_millis: RememberFor = None,
    allowed_origin: Origins = None,
    user_attribute: UserAttributes = None,
    drop_user_attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--drop-user-attribute", metavar="NAME", help="Its values stay stored and hidden. Repeatable."
        ),
    ] = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change settings and user attributes. --allowed-origin '' accepts all origins again.

    Example: oneself dataset change web --merged-anonymous fresh
    """

    async def act(services: Services) -> dict[str, Any]:
        settings = _settings(
            label, identity_trust, merged_anonymous, visit_timeout_millis, remember_me, remember_me_millis,
            allowed_origin,
        )  # fmt: skip
        attributes = _attributes(user_attribute, drop_user_attribute)
        dataset_ref = await dataset_ref_of(services, org)
        return _facts(await services.schema.datasets.change(dataset_ref, name, settings, attributes))

    show(run(act), as_json=as_json)


@app.command()
def delete(name: Name, org: Org = None, yes: Yes = False) -> None:
    """Delete a dataset that was never used."""
    confirm(f"Delete the dataset {name}?", yes=yes)

    async def act(services: Services) -> None:
        await services.schema.datasets.delete(await dataset_ref_of(services, org), name)

    run(act)
    show({"deleted": name}, as_json=False)


@app.command()
def attributes(
    name: Name,
    bind: Annotated[
        list[str] | None,
        typer.Option(
            "--bind",
            metavar="NAME[=TYPE[@ATTRIBUTE]]",
            help="NAME in events has this identity type (default: NAME) and is stored in this attribute "
            "(default: identity_attributes.NAME). Repeatable.",
        ),
    ] = None,
    unbind: Annotated[
        list[str] | None,
        typer.Option("--unbind", metavar="NAME", help="Stop matching; the values stay stored. Repeatable."),
    ] = None,
    org: Org = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show or change the identity attributes. If a change merges profiles, it shows a preview and asks first.

    Example: oneself dataset attributes web --bind emailAddress --bind loyaltyId=loyaltyId@traits.card
    """
    rows = _bind_attributes(name, bind or [], unbind or [], org=org, yes=yes)
    show_list(
        "identity_attributes", rows, as_json=as_json, empty=f"The dataset {name} has no identity attribute."
    )


@app.command()
def channels(
    name: Name,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="CHANNEL=NAME",
            help="The identity attribute of user.id on this channel; CHANNEL= restores the default. "
            "Repeatable.",
        ),
    ] = None,
    org: Org = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show or change the identity attribute of `user.id` per channel: Web, Server, Mobile, OpenTimeEmail.

    Example: oneself dataset channels web --set Web=loyaltyId
    """
    facts = _set_channels(name, change or [], org=org, yes=yes)
    rows = [{"channel": channel, "name": attribute} for channel, attribute in facts.items()]
    show_list(
        "channel_identities", rows, as_json=as_json, empty=f"user.id is not an identity attribute in {name}."
    )


@app.command("enable-identity")
def enable_identity(
    name: Name,
    attribute: Annotated[
        str | None,
        typer.Option(
            "--attribute",
            metavar="NAME",
            help="The identity attribute that stores the former user ids. Default: that of user.id on Web.",
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Apply the change. Without it: preview only.")
    ] = False,
    org: Org = None,
) -> None:
    """Enable identity resolution in a legacy dataset. Without --apply it prints a preview.

    Named users get a generated primary id. Their former id becomes an identity and an alias. This cannot be
    undone. If it is interrupted, a running service continues it.

    Example: oneself dataset enable-identity web --attribute webId --apply
    """

    async def act(services: Services) -> Preview:
        at = await dataset_of(services, org, name)
        preview = await services.identity.resolution_switch.preview(at, attribute)
        if apply:
            await services.identity.resolution_switch.enable(at, attribute)
            with progress_bar("Migrating users") as progress:
                await services.rules.reindexer.finish(at, progress)
        return preview

    print_preview(run(act), "Done" if apply else "Preview")
    out.print(
        f"Identity resolution is enabled in {name}."
        if apply
        else "Nothing was changed. Apply it with --apply. It cannot be undone."
    )


def _bind_attributes(
    dataset: str, bind: list[str], unbind: list[str], *, org: str | None, yes: bool
) -> list[dict[str, Any]]:
    """Add and remove bindings; returns the rows of all bindings afterwards."""

    async def change(services: Services, confirmation: str | None) -> list[IdentityBinding]:
        at = await dataset_of(services, org, dataset)
        current = await services.identity.attributes.list(at)
        if not bind and not unbind:
            return current
        bindings = _changed_bindings(current, bind, unbind)
        return await services.identity.attributes.put(at, bindings, confirmation)

    return [
        {"name": binding.name, "identity_type": binding.type_id, "attribute": binding.attribute}
        for binding in _confirmed(change, yes=yes)
    ]


def _set_channels(dataset: str, given: list[str], *, org: str | None, yes: bool) -> dict[str, str]:
    """Change the meaning of `user.id` on the named channels; returns its meaning on all channels."""
    changes = dict(_split(text, "=", "CHANNEL=NAME") for text in given)

    async def change(services: Services, confirmation: str | None) -> dict[str, str]:
        at = await dataset_of(services, org, dataset)
        config = await services.configurations.current(at.dataset_id)
        if not changes:
            return await services.identity.attributes.channels(at)
        channels = {**config.channels, **{channel: name or None for channel, name in changes.items()}}
        return await services.identity.attributes.put_channels(at, channels, confirmation)

    found: dict[str, str] = _confirmed(change, yes=yes)
    return found


def _confirmed(change: Change, *, yes: bool) -> Any:
    from oneself.service.identity.attributes import ConfirmationRequired

    try:
        return run(lambda services: change(services, None))
    except ConfirmationRequired as required:
        print_preview(required.preview, "Preview")
        confirm("Apply it?", yes=yes)
        confirmation = required.confirmation
        return run(lambda services: change(services, confirmation))


def _changed_bindings(current: list[IdentityBinding], bind: list[str], unbind: list[str]) -> list[Binding]:
    from oneself.service.schema.identity_bindings import Binding

    known = {bound.name: Binding(bound.name, bound.type_id, bound.attribute) for bound in current}
    if unknown := [name for name in unbind if name not in known]:
        raise InvalidInput("unbind", f"The dataset does not bind {unknown[0]!r}.")
    for text in bind:
        name, _, rest = text.partition("=")
        type_id, _, attribute = rest.partition("@")
        known[name] = Binding(name, type_id or name, attribute or None)
    return [binding for name, binding in known.items() if name not in unbind]


def _split(text: str, mark: str, form: str) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise InvalidInput("option", f"{text!r} is not of the form {form}.")
    return before, after


def _settings(
    label: str | None,
    identity_trust: str | None,
    merged_anonymous: str | None,
    visit_timeout_millis: int | None,
    remember_me: bool | None,
    remember_me_millis: int | None,
    allowed_origin: list[str] | None,
) -> dict[str, Any]:
    """The options that were given, by the names of DatasetSettings."""
    options = {
        "label": label,
        "identity_trust": identity_trust,
        "merged_anonymous": merged_anonymous,
        "visit_timeout_millis": visit_timeout_millis,
        "enable_remember_me_user_ids": remember_me,
        "remember_me_user_ids_millis": remember_me_millis,
        "allowed_origins": tuple(origin for origin in allowed_origin if origin) if allowed_origin else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _attributes(given: list[str] | None, dropped: list[str] | None = None) -> Any:
    from oneself.service.schema.user_attributes import read_changes

    changes: dict[str, Any] = {}
    for text in given or []:
        name, _, kind = text.partition("=")
        changes[name] = {"type": kind} if kind else {}
    if set(changes) & set(dropped or []):
        raise InvalidInput(
            "user_attributes",
            "A user attribute cannot be in --user-attribute and --drop-user-attribute.",
        )
    return read_changes(changes | dict.fromkeys(dropped or []))


def _facts(dataset: Dataset) -> dict[str, Any]:
    from oneself.service.schema.dataset_settings import list_settings

    types = {name: attribute.type for name, attribute in dataset.user_attributes.items()}
    return {
        "name": dataset.name,
        **list_settings(dataset.settings),
        "user_attributes": types,
        "created_at": timestamp(dataset.created_at),
    }
