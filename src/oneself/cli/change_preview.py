"""`--preview` of the commands that change settings: what the change would do, as sentences or as JSON.

Invariants: both contain the same facts. Values cannot send control sequences to the terminal.

Source: docs/decisions/0048-preview-of-every-change.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import out, run
from oneself.cli.output import escaped, show
from oneself.cli.progress_bar import progress_bar
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.core.identity_graph.joins import VIEWS
from oneself.service.explain.sentences import CAUSES, EVIDENCE

if TYPE_CHECKING:
    from oneself.service.configuration import PlannedChange
    from oneself.service.context import DatasetRef
    from oneself.service.preview.outcome import PreviewedJoin, PreviewedJoinRefusal, ViewPreview
    from oneself.service.preview.previews import ChangePreview
    from oneself.services import Services

Preview = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Print which existing profiles would be merged or come apart, by what, and what would be "
        "refused. Changes nothing.",
    ),
]
#: What a command would change, and where.
Plan = Callable[["Services"], Awaitable[tuple["DatasetRef", Sequence["PlannedChange"]]]]
#: How many of each kind are printed; --json has up to a hundred.
PRINTED_MAX = 10
#: Code of a refusal that is not about a join → why.
_REFUSED = {"blocked_value": CAUSES["blocked_value"]}


def preview_change(plan: Plan, *, as_json: bool) -> None:
    """Preview what a command would change, and print it."""
    from oneself.errors import InvalidInput

    async def act(services: Services) -> tuple[str, ChangePreview]:
        from oneself.core.config.rule_checks import RuleRejected
        from oneself.service.preview.concerned import PATIENT

        at, changes = await plan(services)
        with progress_bar("Previewing") as progress:
            try:
                found = await services.rules.change_previews.preview(at, changes, progress, PATIENT)
                return at.dataset, found
            except RuleRejected as error:
                raise InvalidInput("rule", error.detail, message="Invalid rule.") from None

    dataset, found = run(act)
    if as_json:
        show(_facts(dataset, found), as_json=True)
        return
    for sentence in _sentences(dataset, found):
        out.print(sentence, markup=False, soft_wrap=True)


def _sentences(dataset: str, found: ChangePreview) -> Iterator[str]:
    yield f"Preview in the dataset {dataset}: nothing was changed."
    if not found.is_complete:
        yield (
            f"Only {_number(found.profiles_examined, 'profile')} could be examined; the change may concern "
            "more. The numbers are of these."
        )
    elif not found.profiles_examined:
        yield "The change concerns no existing profile."
        return
    else:
        yield f"The change may concern {_number(found.profiles_examined, 'profile')}, absorbed ones included."
    for view in VIEWS:
        yield from _view_sentences(found.views[view])


def _view_sentences(view: ViewPreview) -> Iterator[str]:
    if view.is_empty:
        yield f"View {view.view}: nothing would change."
        return
    parts = []
    if view.groups:
        parts.append(
            f"{_number(view.profiles_absorbed, 'profile')} would be merged into "
            f"{_number(view.groups, 'other', 'others')}; the largest would have {view.largest_group}."
        )
    if view.parted_count:
        parts.append(f"{_number(view.parted_count, 'profile')} would come apart.")
    if view.values_changed_count:
        parts.append(f"{_number(view.values_changed_count, 'value')} would change.")
    if view.refusals_count:
        parts.append(
            f"{_number(view.refusals_count, 'merge or value', 'merges or values')} would be refused."
        )
    yield f"View {view.view}: {' '.join(parts)}"
    for merge in view.merges[:PRINTED_MAX]:
        absorbed = _some([str(item) for item in merge.absorbed])
        joins = "; ".join(_join(join) for join in merge.joins) or "the reason is not recorded"
        yield f"- {merge.survivor} would absorb {absorbed}: {joins}."
    for parting in view.parted[:PRINTED_MAX]:
        groups = " and ".join(_some([str(item) for item in group]) for group in parting.groups)
        yield f"- {parting.profile_id} would come apart into {groups}."
        yield from (f"  {_refusal(item)}" for item in parting.refusals)
    for change in view.values_changed[:PRINTED_MAX]:
        yield f"- {change.profile}: {escaped(change.path)} would change."
    reported = {item for parting in view.parted[:PRINTED_MAX] for item in parting.refusals}
    for refusal in [item for item in view.refusals if item not in reported][:PRINTED_MAX]:
        yield f"- {_refusal(refusal)}"
    lists = (view.merges, view.parted, view.values_changed, view.refusals)
    if any(len(entries) > PRINTED_MAX for entries in lists):
        yield f"  At most {PRINTED_MAX} of each kind are printed; --json has up to a hundred."


def _join(join: PreviewedJoin) -> str:
    evidence = "" if join.evidence is None else f" ({EVIDENCE[join.evidence]})"
    if join.identifier is None:
        return f"reason {escaped(join.reason)}{evidence}"
    return f"they share {_shared(join.identifier)}{evidence}"


def _refusal(item: PreviewedJoinRefusal) -> str:
    causes = CAUSES | _REFUSED
    cause = causes.get(item.code, "{namespace}").format(namespace=item.namespace, rule=item.namespace)
    pair = f"{item.profile_id} and {item.other_id}"
    if item.profile_id == item.other_id:
        return f"{item.profile_id} ({item.code}, {item.namespace}): {cause}"
    shared = "" if item.identifier is None else f" share {_shared(item.identifier)} and"
    return f"{pair}{shared} would stay apart ({item.code}): {cause}"


def _shared(identifier: Identifier) -> str:
    return f"{escaped(identifier.namespace)} {escaped(visible_value(identifier))}"


def _some(items: Sequence[str]) -> str:
    listed = ", ".join(items[:PRINTED_MAX])
    return listed if len(items) <= PRINTED_MAX else f"{listed} and {len(items) - PRINTED_MAX} more"


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _facts(dataset: str, found: ChangePreview) -> dict[str, Any]:
    """The preview with the names of the REST interface."""
    return {
        "dataset": dataset,
        "profiles_examined": found.profiles_examined,
        "truncated": not found.is_complete,
        "views": {view: _view_facts(found.views[view]) for view in VIEWS},
    }


def _view_facts(view: ViewPreview) -> dict[str, Any]:
    return {
        "counts": {
            "absorbed": view.profiles_absorbed,
            "groups": view.groups,
            "separated": view.parted_count,
            "values_changed": view.values_changed_count,
            "refusals": view.refusals_count,
        },
        "largest_group": view.largest_group,
        "merges": [
            {
                "survivor": merge.survivor,
                "absorbed": merge.absorbed,
                "joins": [
                    {
                        "reason": join.reason,
                        "identifier": _identifier_facts(join.identifier),
                        "evidence": join.evidence,
                    }
                    for join in merge.joins
                ],
            }
            for merge in view.merges
        ],
        "separated": [
            {
                "profile": parting.profile_id,
                "groups": parting.groups,
                "refusals": [_refusal_facts(item) for item in parting.refusals],
            }
            for parting in view.parted
        ],
        "values_changed": [{"profile": item.profile, "path": item.path} for item in view.values_changed],
        "refusals": [_refusal_facts(item) for item in view.refusals],
    }


def _refusal_facts(item: PreviewedJoinRefusal) -> dict[str, Any]:
    pair = [item.profile_id] if item.profile_id == item.other_id else [item.profile_id, item.other_id]
    return {
        "code": item.code,
        "profiles": pair,
        "namespace": item.namespace,
        "identifier": _identifier_facts(item.identifier),
        "evidence": item.evidence,
    }


def _identifier_facts(identifier: Identifier | None) -> dict[str, Any] | None:
    if identifier is None:
        return None
    return {"namespace": identifier.namespace, "value": visible_value(identifier)}
