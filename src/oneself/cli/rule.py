"""`oneself rule`: unification rules, their previews and progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oneself.cli.change_preview import Preview, preview_change
from oneself.cli.context import run
from oneself.cli.output import (
    AsJson,
    Org,
    ViewName,
    Yes,
    confirm,
    dataset_of,
    dataset_ref_of,
    show,
    show_list,
    timestamp,
    view_of,
)
from oneself.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from oneself.core.identity.identifier_source import UnificationRule
    from oneself.service.configuration import PlannedChange
    from oneself.service.context import DatasetRef
    from oneself.services import Services

app = typer.Typer(
    help="Unification rules: merge profiles with the same value of an attribute.",
    epilog="Preview a rule first: oneself rule preview identity_attributes.emailaddress",
    no_args_is_help=True,
)

RuleId = Annotated[str, typer.Argument(metavar="RULE_ID", help="The id. List them: oneself rule list.")]
Property = Annotated[
    str, typer.Argument(metavar="ATTRIBUTE", help="The full name, such as traits.loyalty_id.")
]
Priority = Annotated[
    int | None,
    typer.Option(
        help="Lower numbers take precedence as the reason of a merge. Default: after all other rules."
    ),
]

Proves = Annotated[
    bool | None,
    typer.Option(
        "--proves-identity/--proves-nothing",
        help="Whether a user of whom a server said a value owns what servers began with it. Default: no.",
    ),
]


@app.command("list")
def list_rules(org: Org = None, as_json: AsJson = False) -> None:
    """List all rules by priority."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [_fields(rule) for rule in await services.rules.rules.list_rules(dataset_ref)]

    show_list("rules", run(act), as_json=as_json, empty="There is no rule.")


@app.command()
def create(
    property_name: Property,
    org: Org = None,
    name: Annotated[
        str | None, typer.Option(help="The display name. Default: the name of the attribute.")
    ] = None,
    priority: Priority = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="Do not activate the rule yet.")] = False,
    proves_identity: Proves = None,
    preview: Preview = False,
    as_json: AsJson = False,
) -> None:
    """Create a rule. A running service applies it to existing profiles; see `oneself rule progress`.

    --preview shows the effect in every view, with what joins whom; `oneself rule preview` counts it in one
    view, for any number of profiles.
    """

    async def draft(services: Services) -> tuple[DatasetRef, UnificationRule]:
        dataset_ref = await dataset_ref_of(services, org)
        rule = await _new_rule(
            services, dataset_ref, property_name, priority, name=name, is_active=not inactive
        )
        return dataset_ref, msgspec.structs.replace(rule, proves_identity=bool(proves_identity))

    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        from oneself.service.rules.rules import plan_rule

        dataset_ref, rule = await draft(services)
        return dataset_ref, [plan_rule(rule).change]

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref, rule = await draft(services)
        with _rule_errors():
            return _fields(await services.rules.rules.create(dataset_ref, rule))

    if preview:
        preview_change(plan, as_json=as_json)
    else:
        show(run(act), as_json=as_json)


@app.command()
def preview(
    property_name: Property,
    org: Org = None,
    priority: Priority = None,
    view: ViewName = None,
    as_json: AsJson = False,
) -> None:
    """Show what a rule on this attribute would do to existing profiles. Changes nothing.

    --view all also counts what pages without credentials said.
    """

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        rule = await _new_rule(services, dataset_ref, property_name, priority)
        seen = await view_of(services, dataset_ref, view)
        if seen == "own":
            raise InvalidInput("view", "A preview has the view proven or all.")
        previews = services.rules.previews if seen == "all" else services.rules.proven_previews
        with _rule_errors():
            result = await previews.preview(dataset_ref, rule)
        return {
            "view": seen,
            "profiles_with_a_value": result.profiles_indexed,
            "profiles_absorbed": result.profiles_absorbed,
            "largest_group": result.largest_group,
            "values_changed": result.values_changed_count,
            "refusals": result.refusals_count,
        }

    show(run(act), as_json=as_json)


@app.command()
def activate(rule_id: RuleId, preview: Preview = False, org: Org = None, as_json: AsJson = False) -> None:
    """Activate a rule: for new writes at once, for existing profiles in the background."""
    _change(rule_id, org, {"is_active": True}, preview=preview, as_json=as_json)


@app.command()
def deactivate(rule_id: RuleId, preview: Preview = False, org: Org = None, as_json: AsJson = False) -> None:
    """Deactivate a rule. Existing merges are kept."""
    _change(rule_id, org, {"is_active": False}, preview=preview, as_json=as_json)


@app.command()
def change(
    rule_id: RuleId,
    proves_identity: Proves = None,
    preview: Preview = False,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Change what a rule proves."""
    changes = {} if proves_identity is None else {"proves_identity": proves_identity}
    _change(rule_id, org, changes, preview=preview, as_json=as_json)


@app.command()
def delete(rule_id: RuleId, org: Org = None, yes: Yes = False) -> None:
    """Delete a rule. Existing merges are kept."""
    confirm(f"Delete the rule {rule_id}?", yes=yes)

    async def act(services: Services) -> None:
        dataset_ref = await dataset_ref_of(services, org)
        if all(rule.rule_id != rule_id for rule in await services.rules.rules.list_rules(dataset_ref)):
            raise _unknown()
        await services.rules.rules.delete(dataset_ref, rule_id)

    run(act)
    show({"deleted": rule_id}, as_json=False)


@app.command()
def progress(
    org: Org = None,
    dataset: Annotated[str, typer.Option(help="The dataset of the identity attributes.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Show the progress of applying rules and identity attributes to existing profiles."""

    async def act(services: Services) -> list[dict[str, Any]]:
        at = await dataset_of(services, org, dataset)
        return [
            {
                "rule_id": work.job_id,
                "state": work.state,
                "seen": work.seen,
                "total": work.total,
                "indexed": work.indexed,
                "merged": work.merged,
                "started_at": timestamp(work.started_at),
            }
            for work in await services.rules.rules.progress(at)
        ]

    show_list("progress", run(act), as_json=as_json, empty="No rule has been applied yet.")


@contextmanager
def _rule_errors() -> Iterator[None]:
    """Convert RuleRejected to InvalidInput."""
    from oneself.core.config.rule_checks import RuleRejected

    try:
        yield
    except RuleRejected as error:
        raise InvalidInput("rule", error.detail, message="Invalid rule.") from None


async def _new_rule(
    services: Services,
    dataset_ref: DatasetRef,
    property_name: str,
    priority: int | None,
    *,
    name: str | None = None,
    is_active: bool = True,
) -> UnificationRule:
    from oneself.core.identity.identifier_source import UnificationRule

    if priority is None:
        priorities = [rule.priority for rule in await services.rules.rules.list_rules(dataset_ref)]
        priority = max(priorities, default=0) + 1
    return UnificationRule("", name or property_name, property_name, priority, is_active)


def _unknown() -> NotFound:
    return NotFound("There is no rule with this id. List them: oneself rule list")


def _change(rule_id: str, org: str | None, changes: dict[str, Any], *, preview: bool, as_json: bool) -> None:
    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        from oneself.service.rules.rules import plan_rule_change

        dataset_ref = await dataset_ref_of(services, org)
        rules = await services.rules.rules.list_rules(dataset_ref)
        if all(rule.rule_id != rule_id for rule in rules):
            raise _unknown()
        return dataset_ref, [plan_rule_change(rule_id, **changes).change]

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.rules.rules import UnknownRule

        try:
            dataset_ref = await dataset_ref_of(services, org)
            return _fields(await services.rules.rules.change(dataset_ref, rule_id, **changes))
        except UnknownRule:
            raise _unknown() from None

    if preview:
        preview_change(plan, as_json=as_json)
    else:
        show(run(act), as_json=as_json)


def _fields(rule: UnificationRule) -> dict[str, Any]:
    return {
        "rule_id": rule.rule_id,
        "name": rule.rule_name,
        "attribute": rule.property_name,
        "priority": rule.priority,
        "active": rule.is_active,
        "proves_identity": rule.proves_identity,
    }
