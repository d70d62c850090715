"""`oneself person why`: explains a profile, or how two ids belong together, now or as of an instant.
Read-only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import out, run
from oneself.cli.explanation import join_facts, numbered_sentences, relation_facts, relation_sentences
from oneself.cli.output import AsJson, Dataset, Org, ViewName, dataset_of, show, timestamp, view_of
from oneself.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from oneself.core.identity_graph.joins import View
    from oneself.service.as_of.reading import EarlierReading
    from oneself.service.context import DatasetRef
    from oneself.service.explain.explanations import Explanations
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
    str | None, typer.Argument(metavar="[OTHER]", help="A second id. Explains how the two belong together.")
]
Joins = Annotated[
    int, typer.Option("--joins", "-n", min=1, max=10_000, help="The number of joins to print at most.")
]

At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="INSTANT",
        help="Explain it as it was at this instant, such as 2026-06-05T09:30:00Z. Parts that are no part of "
        "the profile today are left out.",
    ),
]


def why(
    person_id: PersonId,
    other: OtherId = None,
    org: Org = None,
    dataset: Dataset = "default",
    view: ViewName = None,
    at: At = None,
    joins: Joins = 20,
    as_json: AsJson = False,
) -> None:
    """Explain why a profile is one person, or how two ids belong together.

    With one id: the joins that hold the profile together, the strongest evidence first. A join names the
    identifier that both parts have, and who said it of each. With a second id: the shortest way of joins from
    one to the other, or why they are two profiles, for example a rule that is not active or two users.

    Example: oneself person why emailAddress:ann@acme.example customerId:C-1001 --dataset web

    Example: oneself person why emailAddress:ann@acme.example --at 2026-06-05T09:30:00Z --dataset web
    """
    instant = None if at is None else _instant(at)

    async def act(services: Services) -> tuple[dict[str, Any], list[str]]:
        dataset_ref = await dataset_of(services, org, dataset)
        seen = await view_of(services, dataset_ref, view)
        ids = [person_id] if other is None else [person_id, other]
        if instant is None:
            explanations = services.profiles.explanations
            parts = [await _find(services, dataset_ref, text, seen, dataset) for text in ids]
            return await _explain(explanations, dataset_ref, parts, joins)
        async with _read(services, dataset_ref, ids, seen, instant) as earlier:
            parts = [item.part for item in earlier.profiles]
            facts, sentences = await _explain(earlier.explanations, dataset_ref, parts, joins)
        is_cut = any(item.is_cut for item in earlier.profiles)
        return facts | {"at": timestamp(instant), "left_out": is_cut}, [
            *sentences,
            *_of_then(instant, seen, is_cut=is_cut),
        ]

    facts, sentences = run(act)
    if as_json:
        show(facts, as_json=True)
        return
    for sentence in sentences:
        out.print(sentence, soft_wrap=True, markup=False)


async def _explain(
    explanations: Explanations, dataset_ref: DatasetRef, parts: list[ProfilePart], joins: int
) -> tuple[dict[str, Any], list[str]]:
    if len(parts) == 1:
        return await _joins(explanations, dataset_ref, parts[0], joins)
    one, two = parts
    relation = await explanations.relation(dataset_ref, one, two, sees_all=True)
    return relation_facts(relation, one, two), list(relation_sentences(relation, one, two))


@asynccontextmanager
async def _read(
    services: Services, dataset_ref: DatasetRef, ids: list[str], view: View, at: int
) -> AsyncIterator[EarlierReading]:
    """The profiles as they were. Raises NotFound, InvalidInput, Conflict."""
    from oneself.service.as_of.reading import UnknownThen

    try:
        async with services.as_of.read(dataset_ref, ids, view, at) as earlier:
            yield earlier
    except UnknownThen as error:
        began = "" if error.began_at is None else f" It began at {timestamp(error.began_at)}."
        raise NotFound(f"There was no such profile at {timestamp(at)}.{began}") from None


def _instant(text: str) -> int:
    """The instant in µs since 1970. Raises InvalidInput."""
    from oneself.api.http.timestamps import instant_of

    found = instant_of(text)
    if found is None or found < 0:
        raise InvalidInput("at", f"{text[:100]!r} is not an instant. Write it as 2026-06-05T09:30:00Z.")
    return found


def _of_then(at: int, view: View, *, is_cut: bool) -> list[str]:
    """What the answer says of its instant."""
    sentences = [f"This is as of {timestamp(at)}."]
    if is_cut:
        sentences.append("Parts that it had then, and that are no part of it today, are left out.")
    if view == "all":
        sentences.append("People who were split or reconciled since are shown as they are believed today.")
    return [" ".join(sentences)]


async def _joins(
    explanations: Explanations, dataset_ref: DatasetRef, part: ProfilePart, number: int
) -> tuple[dict[str, Any], list[str]]:
    from oneself.service.explain.values import FIRST_JOIN

    found: list[ExplainedJoin] = []
    following = FIRST_JOIN
    has_more = True
    while has_more and len(found) < number:
        page = await explanations.joins(dataset_ref, part, after=following, limit=number - len(found))
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
