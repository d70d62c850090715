"""`oneself dataset`: the identity namespaces of an organisation, what identifies people in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli import write_key
from oneself.cli.context import out, run
from oneself.cli.identity_bindings import bind_attributes, print_preview, set_channels
from oneself.cli.output import (
    AsJson,
    Org,
    Yes,
    confirm,
    dataset_of,
    dataset_ref_of,
    show,
    show_list,
    timestamp,
)
from oneself.cli.progress_bar import progress_bar as counting
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.rules.preview import Preview
    from oneself.service.schema.datasets import Dataset
    from oneself.services import Services

app = typer.Typer(
    help="Datasets: people, attributes and events of one never meet those of another.",
    epilog="One for a web shop: oneself dataset create web --label 'Web shop', "
    "then: oneself dataset attributes web --bind emailAddress",
    no_args_is_help=True,
)
app.add_typer(write_key.app, name="write-key")

Name = Annotated[str, typer.Argument(metavar="DATASET", help="Its name; see: oneself dataset list.")]
Label = Annotated[str | None, typer.Option(help="What people call it.")]
Trust = Annotated[
    str | None,
    typer.Option(
        "--identity-trust",
        metavar="timestamp|tiered",
        help="Whose identity counts. timestamp, as at first: the later one. tiered: a server's before a "
        "browser's.",
    ),
]
Merged = Annotated[
    str | None,
    typer.Option(
        "--merged-anonymous",
        metavar="follow|fresh",
        help="Who a browser is that comes back without identity. follow, as at first: the user last seen "
        "there. fresh: somebody new; for shared devices.",
    ),
]
Visit = Annotated[
    int | None,
    typer.Option(
        "--visit-timeout-millis",
        help="A visit ends so long after its last event: a minute to a day, at first 30 minutes.",
    ),
]
Remember = Annotated[
    bool | None,
    typer.Option(
        "--remember-me/--no-remember-me", help="Whether a browser's user is remembered beyond the visit."
    ),
]
RememberFor = Annotated[
    int | None,
    typer.Option("--remember-me-millis", help="For how long: a day to ten years, at first two years."),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-origin", metavar="ORIGIN", help="Only pages from there may send events; repeat for more."
    ),
]
UserAttributes = Annotated[
    list[str] | None,
    typer.Option(
        "--user-attribute",
        metavar="NAME[=TYPE]",
        help="What events tell about a user: String (if not said), Number, Boolean or Date; repeat for more.",
    ),
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the datasets of the organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        found = await services.schema.datasets.list(await dataset_ref_of(services, org))
        return [_facts(item) for item in found]

    found = run(act)
    brief = ("name", "label", "pipeline_identity_resolution", "created_at")
    rows = found if as_json else [{key: item[key] for key in brief} for item in found]
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
    """Make a dataset; it has the organisation's identity types, and no identity attribute yet.

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
    """Show one dataset: its settings and user attributes."""

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
        typer.Option("--drop-user-attribute", metavar="NAME", help="Its values on profiles stay, hidden."),
    ] = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change settings and user attributes; what is not said stays. --allowed-origin '' allows all again.

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
    """Remove a dataset that was never used."""
    confirm(f"Remove the dataset {name}?", yes=yes)

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
            help="Let NAME on events be of an identity type, NAME if not said, and kept in an attribute, "
            "identity_attributes.NAME if not said; repeat for more.",
        ),
    ] = None,
    unbind: Annotated[
        list[str] | None,
        typer.Option(
            "--unbind", metavar="NAME", help="It keeps its values and stops matching; repeat for more."
        ),
    ] = None,
    org: Org = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show or change what identifies people. What would join people is shown, and asked for, first.

    Example: oneself dataset attributes web --bind emailAddress --bind loyaltyId=loyaltyId@traits.card
    """
    rows = bind_attributes(name, bind or [], unbind or [], org=org, yes=yes)
    show_list("identity_attributes", rows, as_json=as_json, empty=f"Nothing identifies people in {name} yet.")


@app.command()
def channels(
    name: Name,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="CHANNEL=NAME",
            help="The identity attribute that it stands for there; CHANNEL= puts back what it was at first; "
            "repeat for more.",
        ),
    ] = None,
    org: Org = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show or change what `user.id` stands for on the channels Web, Server, Mobile and OpenTimeEmail.

    Example: oneself dataset channels web --set Web=loyaltyId
    """
    facts = set_channels(name, change or [], org=org, yes=yes)
    rows = [{"channel": channel, "name": attribute} for channel, attribute in facts.items()]
    show_list("channel_identities", rows, as_json=as_json, empty=f"user.id stands for nothing in {name}.")


@app.command("enable-identity")
def enable_identity(
    name: Name,
    attribute: Annotated[
        str | None,
        typer.Option(
            "--attribute",
            metavar="NAME",
            help="The identity attribute that takes the former user ids; if not said, what user.id stands "
            "for on Web.",
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, it is only previewed.")] = False,
    org: Org = None,
) -> None:
    """Turn identity resolution on for a legacy dataset: shows what would happen, does it with --apply.

    Named users get a generated primary id, their former id becomes an identity and an alias. There is no way
    back. If this is interrupted, the running service goes on with it.

    Example: oneself dataset enable-identity web --attribute webId --apply
    """

    async def act(services: Services) -> Preview:
        at = await dataset_of(services, org, name)
        preview = await services.identity.resolution_switch.preview(at, attribute)
        if apply:
            await services.identity.resolution_switch.enable(at, attribute)
            with counting("Moving users over") as progress:
                await services.rules.reindexer.finish(at, progress)
        return preview

    print_preview(run(act), "Done" if apply else "Preview")
    out.print(
        f"Identity resolution is on in {name}."
        if apply
        else "Nothing was changed. Do it with --apply; there is no way back."
    )


def _settings(
    label: str | None,
    identity_trust: str | None,
    merged_anonymous: str | None,
    visit_timeout_millis: int | None,
    remember_me: bool | None,
    remember_me_millis: int | None,
    allowed_origin: list[str] | None,
) -> dict[str, Any]:
    """What was said, by the names of DatasetSettings."""
    given_settings = {
        "label": label,
        "identity_trust": identity_trust,
        "merged_anonymous": merged_anonymous,
        "visit_timeout_millis": visit_timeout_millis,
        "enable_remember_me_user_ids": remember_me,
        "remember_me_user_ids_millis": remember_me_millis,
        "allowed_origins": tuple(item for item in allowed_origin if item) if allowed_origin else None,
    }
    return {name: value for name, value in given_settings.items() if value is not None}


def _attributes(given: list[str] | None, dropped: list[str] | None = None) -> Any:
    from oneself.service.schema.user_attributes import read_changes

    changes: dict[str, Any] = {}
    for item in given or []:
        name, _, kind = item.partition("=")
        changes[name] = {"type": kind} if kind else {}
    if set(changes) & set(dropped or []):
        raise InvalidInput("user_attributes", "Drop a user attribute or give it, not both.")
    return read_changes(changes | dict.fromkeys(dropped or []))


def _facts(dataset: Dataset) -> dict[str, Any]:
    from oneself.service.schema.dataset_settings import list_settings

    types = {name: item.type for name, item in dataset.user_attributes.items()}
    return {
        "name": dataset.name,
        **list_settings(dataset.settings),
        "user_attributes": types,
        "created_at": timestamp(dataset.created_at),
    }
