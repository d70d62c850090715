"""`oneself person why`: explains a profile, or how two ids belong together. Read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import out, run
from oneself.cli.explanation import join_facts, numbered_sentences, relation_facts, relation_sentences
from oneself.cli.output import AsJson, Dataset, Org, ViewName, dataset_of, show, view_of
from oneself.errors import NotFound

if TYPE_CHECKING:
    from oneself.core.identity_graph.joins import View
    from oneself.service.context import DatasetRef
    from oneself.service.explain.values import ExplainedJoin
    from oneself.service.profiles.parts import ProfilePart
    from oneself.services import Services

PersonId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A current or former id: profile id, primary id, alias or namespace:value."
    ),
]
OtherId = Annotated[
    str | None, typer.Argument(metavar="OTHER", help="A second id. Explains how the two belong together.")
]
Joins = Annotated[
    int, typer.Option("--joins", "-n", min=1, max=10_000, help="The number of joins to print at most.")
]


def why(
    person_id: PersonId,
    other: OtherId = None,
    org: Org = None,
    dataset: Dataset = "default",
    view: ViewName = None,
    joins: Joins = 20,
    as_json: AsJson = False,
) -> None:
    """Explain why a profile is one person, or how two ids belong together.

    With one id: the joins that hold the profile together, the strongest evidence first. A join names the
    identifier that both parts have, and who said it of each. With a second id: the shortest way of joins from
    one to the other, or why they are two profiles, for example a rule that is not active or two users.

    Example: oneself person why emailAddress:ann@acme.example customerId:C-1001 --dataset web
    """

    async def act(services: Services) -> tuple[dict[str, Any], list[str]]:
        dataset_ref = await dataset_of(services, org, dataset)
        seen = await view_of(services, dataset_ref, view)
        one = await _find(services, dataset_ref, person_id, seen, dataset)
        if other is None:
            return await _joins(services, dataset_ref, one, joins)
        two = await _find(services, dataset_ref, other, seen, dataset)
        relation = await services.profiles.explanations.relation(dataset_ref, one, two, sees_all=True)
        return relation_facts(relation, one, two), list(relation_sentences(relation, one, two))

    facts, sentences = run(act)
    if as_json:
        show(facts, as_json=True)
        return
    for sentence in sentences:
        out.print(sentence, soft_wrap=True, markup=False)


async def _joins(
    services: Services, dataset_ref: DatasetRef, part: ProfilePart, number: int
) -> tuple[dict[str, Any], list[str]]:
    from oneself.service.explain.values import FIRST_JOIN

    found: list[ExplainedJoin] = []
    following = FIRST_JOIN
    has_more = True
    while has_more and len(found) < number:
        page = await services.profiles.explanations.joins(
            dataset_ref, part, after=following, limit=number - len(found)
        )
        found += page.joins
        has_more, following = page.next_position is not None, page.next_position or following
    facts = {
        "profile_id": str(part.part_id),
        "view": part.view,
        "joins": [join_facts(join) for join in found],
        "has_more": has_more,
    }
    return facts, [*_heading(part, bool(found)), *numbered_sentences(found), *_rest(has_more)]


def _heading(part: ProfilePart, has_joins: bool) -> list[str]:
    profile = f"The profile of {part.part_id} in the view {part.view}"
    if not has_joins:
        return [f"{profile} has one part. Nothing joins it with another one."]
    return [f"{profile} is held together by these joins, the strongest evidence first:"]


def _rest(has_more: bool) -> list[str]:
    return ["There are more: --joins prints more."] if has_more else []


async def _find(
    services: Services, dataset_ref: DatasetRef, text: str, view: View, dataset: str
) -> ProfilePart:
    found = await services.profiles.explanations.find(dataset_ref, text, view)
    if found is None:
        raise NotFound(f"No profile of the dataset {dataset!r} has the id {text!r} in the view {view}.")
    return found
