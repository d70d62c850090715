"""`oneself dataset`: the datasets of an organisation and the identity attributes of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli import write_key
from oneself.cli.change_preview import Preview, preview_change
from oneself.cli.context import out, run
from oneself.cli.identity_bindings import (
    bind_attributes,
    preview_bindings,
    preview_channels,
    print_preview,
    set_channels,
)
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
from oneself.cli.progress_bar import progress_bar
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.configuration import PlannedChange
    from oneself.service.context import DatasetRef
    from oneself.service.rules import preview as rule_preview
    from oneself.service.schema.datasets import Dataset
    from oneself.services import Services

app = typer.Typer(
    help="Datasets: profiles, attributes and events of different datasets are separate.",
    epilog="Example: oneself dataset create web --label 'Web shop', "
    "then: oneself dataset attributes web --bind emailAddress",
    no_args_is_help=True,
)
app.add_typer(write_key.app, name="write-key")

Name = Annotated[str, typer.Argument(metavar="DATASET", help="The name. List them: oneself dataset list.")]
Label = Annotated[str | None, typer.Option(help="The display name.")]
Trust = Annotated[
    str | None,
    typer.Option(
        "--identity-trust",
        metavar="tiered|timestamp",
        help="Which identity wins. tiered (default): one from a server before one from a browser. "
        "timestamp: the newest.",
    ),
]
Merged = Annotated[
    str | None,
    typer.Option(
        "--merged-anonymous",
        metavar="follow|fresh",
        help="The profile of a known browser in an event without identity. follow (default): the last "
        "user of the browser. fresh: a new profile, for shared devices.",
    ),
]
ChannelConflict = Annotated[
    str | None,
    typer.Option(
        "--channel-identity-conflict",
        metavar="keep_apart|replace",
        help="Two values of what user.id stands for. keep_apart (default of new datasets): they are two "
        "people. replace: the newer value replaces the other.",
    ),
]
DefaultView = Annotated[
    str | None,
    typer.Option(
        "--default-view",
        metavar="own|proven|all",
        help="What applications read that name no view: what its owner is proven to have, what servers have "
        "proven (default in the dataset `default`), or all that is believed (default of other new datasets).",
    ),
]
AssertedMerges = Annotated[
    str | None,
    typer.Option(
        "--asserted-merges",
        metavar="unprotected|all|unrestricted",
        help="What an identity may merge that only a page names, if servers or sign-ins said who both are. "
        "unprotected (default in the dataset default): nothing. all (default elsewhere): people without an "
        "account. unrestricted: anybody, as in version 0.1.",
    ),
]
ReportJoins = Annotated[
    str | None,
    typer.Option(
        "--report-joins",
        metavar="at_once|confirmed",
        help="When an identity server's report of a sign-in joins the browser with the user. at_once "
        "(default): with the report. confirmed: when a request to /profiles/Me or POST /profiles has the "
        "browser's tracker and the user's token.",
    ),
]
Visit = Annotated[
    int | None,
    typer.Option(
        "--visit-timeout-millis",
        help="Idle time that ends a visit: one minute to one day. Default: 30 minutes.",
    ),
]
Remember = Annotated[
    bool | None,
    typer.Option(
        "--remember-me/--no-remember-me", help="Whether the user of a browser is recognised after the visit."
    ),
]
RememberFor = Annotated[
    int | None,
    typer.Option(
        "--remember-me-millis",
        help="How long the user is recognised: one day to ten years. Default: two years.",
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-origin",
        metavar="ORIGIN",
        help="An origin whose pages may send events. Default: all origins. Repeat for more.",
    ),
]
UserAttributes = Annotated[
    list[str] | None,
    typer.Option(
        "--user-attribute",
        metavar="NAME[=TYPE]",
        help="A user attribute that events can set. TYPE: String (default), Number, Boolean or Date. "
        "Repeat for more.",
    ),
]


@app.command("list")
def list_(org: Org = None, as_json: AsJson = False) -> None:
    """List the datasets of the organisation."""

    async def act(services: Services) -> list[dict[str, Any]]:
        datasets = await services.schema.datasets.list(await dataset_ref_of(services, org))
        return [_fields(dataset) for dataset in datasets]

    datasets = run(act)
    columns = ("name", "label", "pipeline_identity_resolution", "created_at")
    rows = datasets if as_json else [{key: dataset[key] for key in columns} for dataset in datasets]
    show_list("datasets", rows, as_json=as_json, empty="There is no dataset.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Letters, digits, '.', '_' and '-'.")],
    label: Label = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="Turn identity resolution off: user.id is the primary id.")
    ] = False,
    identity_trust: Trust = None,
    merged_anonymous: Merged = None,
    channel_identity_conflict: ChannelConflict = None,
    default_view: DefaultView = None,
    asserted_merges: AssertedMerges = None,
    report_joins: ReportJoins = None,
    visit_timeout_millis: Visit = None,
    remember_me: Remember = None,
    remember_me_millis: RememberFor = None,
    allowed_origin: Origins = None,
    user_attribute: UserAttributes = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Create a dataset. It has the identity types of the organisation and no identity attribute.

    Example: oneself dataset create web --label 'Web shop' --user-attribute favColour
    """

    async def act(services: Services) -> dict[str, Any]:
        settings = _settings(
            label, identity_trust, merged_anonymous, channel_identity_conflict, default_view,
            asserted_merges, report_joins, visit_timeout_millis, remember_me, remember_me_millis,
            allowed_origin,
        )  # fmt: skip
        settings |= {"pipeline_identity_resolution": False} if legacy else {}
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(
            await services.schema.datasets.create(dataset_ref, name, settings, _attributes(user_attribute))
        )

    show(run(act), as_json=as_json)


@app.command("show")
def show_(name: Name, org: Org = None, as_json: AsJson = False) -> None:
    """Show one dataset: its settings and user attributes."""

    async def act(services: Services) -> dict[str, Any]:
        return _fields(await services.schema.datasets.show(await dataset_ref_of(services, org), name))

    show(run(act), as_json=as_json)


@app.command()
def change(
    name: Name,
    label: Label = None,
    identity_trust: Trust = None,
    merged_anonymous: Merged = None,
    channel_identity_conflict: ChannelConflict = None,
    default_view: DefaultView = None,
    asserted_merges: AssertedMerges = None,
    report_joins: ReportJoins = None,
    visit_timeout_millis: Visit = None,
    remember_me: Remember = None,
    remember_me_millis: RememberFor = None,
    allowed_origin: Origins = None,
    user_attribute: UserAttributes = None,
    drop_user_attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--drop-user-attribute",
            metavar="NAME",
            help="A user attribute to remove. Its values on profiles are hidden. Repeat for more.",
        ),
    ] = None,
    preview: Preview = False,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change settings and user attributes. Others keep their values. --allowed-origin '' allows all origins.

    Example: oneself dataset change web --asserted-merges all --preview
    """
    settings = _settings(
        label, identity_trust, merged_anonymous, channel_identity_conflict, default_view,
        asserted_merges, report_joins, visit_timeout_millis, remember_me, remember_me_millis,
        allowed_origin,
    )  # fmt: skip
    changed = _attributes(user_attribute, drop_user_attribute)

    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        at = await dataset_of(services, org, name)
        return at, [services.schema.datasets.plan(name, settings, changed)]

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(await services.schema.datasets.change(dataset_ref, name, settings, changed))

    if preview:
        preview_change(plan, as_json=as_json)
    else:
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
            help="Bind the event attribute NAME to an identity type (default: NAME) and store it in a "
            "profile attribute (default: the provider claim of the same meaning, else "
            "identity_attributes.NAME). Repeat for more.",
        ),
    ] = None,
    unbind: Annotated[
        list[str] | None,
        typer.Option(
            "--unbind",
            metavar="NAME",
            help="Remove a binding. Values are kept but no longer match. Repeat for more.",
        ),
    ] = None,
    preview: Preview = False,
    org: Org = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show or change the identity attributes. Asks for confirmation if the change would merge profiles.

    Example: oneself dataset attributes web --bind emailAddress --bind loyaltyId=loyaltyId@traits.card
    """
    if preview:
        preview_bindings(name, bind or [], unbind or [], org=org, as_json=as_json)
        return
    rows = bind_attributes(name, bind or [], unbind or [], org=org, yes=yes)
    show_list(
        "identity_attributes",
        rows,
        as_json=as_json,
        empty=f"The dataset {name} has no identity attribute yet.",
    )


@app.command()
def channels(
    name: Name,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="CHANNEL=NAME",
            help="The identity attribute that user.id means on the channel. CHANNEL= restores the default. "
            "Repeat for more.",
        ),
    ] = None,
    preview: Preview = False,
    org: Org = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show or change the identity attribute of `user.id` on the channels Web, Server, Mobile and
    OpenTimeEmail.

    Example: oneself dataset channels web --set Web=loyaltyId
    """
    if preview:
        preview_channels(name, change or [], org=org, as_json=as_json)
        return
    bindings = set_channels(name, change or [], org=org, yes=yes)
    rows = [{"channel": channel, "name": attribute} for channel, attribute in bindings.items()]
    show_list(
        "channel_identities",
        rows,
        as_json=as_json,
        empty=f"user.id is not bound to an identity attribute in {name}.",
    )


@app.command("enable-identity")
def enable_identity(
    name: Name,
    attribute: Annotated[
        str | None,
        typer.Option(
            "--attribute",
            metavar="NAME",
            help="The identity attribute for the former user ids. Default: the identity attribute of "
            "user.id on the channel Web.",
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Apply the change. Default: only preview it.")
    ] = False,
    org: Org = None,
) -> None:
    """Turn identity resolution on for a legacy dataset. Previews the change; applies it with --apply.

    Identified users get a generated primary id; their former id becomes an identity and an alias. This cannot
    be undone. If the command is interrupted, the running service completes the change.

    Example: oneself dataset enable-identity web --attribute webId --apply
    """

    async def act(services: Services) -> rule_preview.Preview:
        dataset_ref = await dataset_of(services, org, name)
        preview = await services.identity.resolution_switch.preview(dataset_ref, attribute)
        if apply:
            await services.identity.resolution_switch.enable(dataset_ref, attribute)
            with progress_bar("Converting users") as progress:
                await services.rules.reindexer.finish(dataset_ref, progress)
        return preview

    print_preview(run(act), "Done" if apply else "Preview")
    out.print(
        f"Identity resolution is on in {name}."
        if apply
        else "Nothing was changed. Apply it with --apply. This cannot be undone."
    )


def _settings(
    label: str | None,
    identity_trust: str | None,
    merged_anonymous: str | None,
    channel_identity_conflict: str | None,
    default_view: str | None,
    asserted_merges: str | None,
    report_joins: str | None,
    visit_timeout_millis: int | None,
    remember_me: bool | None,
    remember_me_millis: int | None,
    allowed_origin: list[str] | None,
) -> dict[str, Any]:
    """The options that were set, by field name of DatasetSettings."""
    options = {
        "label": label,
        "identity_trust": identity_trust,
        "merged_anonymous": merged_anonymous,
        "channel_identity_conflict": channel_identity_conflict,
        "default_view": default_view,
        "asserted_merges": asserted_merges,
        "report_joins": report_joins,
        "visit_timeout_millis": visit_timeout_millis,
        "enable_remember_me_user_ids": remember_me,
        "remember_me_user_ids_millis": remember_me_millis,
        "allowed_origins": tuple(filter(None, allowed_origin)) if allowed_origin else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _attributes(definitions: list[str] | None, dropped: list[str] | None = None) -> Any:
    from oneself.service.schema.user_attributes import read_changes

    changes: dict[str, Any] = {}
    for definition in definitions or []:
        name, _, value_type = definition.partition("=")
        changes[name] = {"type": value_type} if value_type else {}
    if set(changes) & set(dropped or []):
        raise InvalidInput("user_attributes", "A user attribute cannot be set and dropped in one command.")
    return read_changes(changes | dict.fromkeys(dropped or []))


def _fields(dataset: Dataset) -> dict[str, Any]:
    from oneself.service.schema.dataset_settings import list_settings

    types = {name: attribute.type for name, attribute in dataset.user_attributes.items()}
    return {
        "name": dataset.name,
        **list_settings(dataset.settings),
        "user_attributes": types,
        "created_at": timestamp(dataset.created_at),
    }
