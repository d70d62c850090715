"""`oneself person split` and `oneself person merge`: what people decide about profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import typer

from oneself.cli.context import out, run
from oneself.cli.output import AsJson, Dataset, Org, ViewName, Yes, confirm, dataset_of, show, view_of
from oneself.cli.progress_bar import elapsed_time
from oneself.core.identity.identifier import visible_value
from oneself.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from oneself.core.identity_graph.joins import View
    from oneself.service.by_hand.asked import Decided, DecidedProfile, GivenUp, SplitAsked
    from oneself.service.context import DatasetRef
    from oneself.services import Services

ProfileId = Annotated[
    str, typer.Argument(metavar="ID", help="Any id: profile id, primary id, alias or namespace:value.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the history of the profiles.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be, and change nothing.")]
#: How many identifiers of a profile are shown.
IDENTIFIERS_MAX = 10


def split(
    person_id: ProfileId,
    fragment: Annotated[
        list[str] | None,
        typer.Option("--fragment", metavar="ID", help="Take this part out. Repeatable."),
    ] = None,
    absorbed: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Take out a profile that it absorbed, with what came to that since."),
    ] = None,
    browser: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Take out what a browser said: its anonymous id, or its digest in `devices`."
        ),
    ] = None,
    identifier: Annotated[
        str | None, typer.Option(metavar="TYPE:VALUE", help="Take apart what this alone joins.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Take everything apart: each user, browser and record of a server.")
    ] = False,
    reason: Reason = "",
    org: Org = None,
    dataset: Dataset = "default",
    view: ViewName = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take parts out of a profile. They stay apart until a person merges them again.

    Example: oneself person split emailAddress:info@acme.example --identifier emailAddress:info@acme.example
    """
    from oneself.service.by_hand.asked import Why
    from oneself.service.context import Actor

    asked = _asked(fragment, absorbed, browser, identifier, everything=everything)

    async def act(services: Services, at: DatasetRef, seen: View, *, dry: bool) -> Decided | None:
        return await services.decisions.split(at, Actor("cli"), person_id, asked, Why(seen, reason, dry))

    _decide(act, f"Split {person_id}?", org, dataset, view, dry_run=dry_run, yes=yes, as_json=as_json)


def merge(
    person_id: ProfileId,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Any id of the other profile.")],
    give_up_account: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Of two users, the one whose account ends for good."),
    ] = None,
    reason: Reason = "",
    org: Org = None,
    dataset: Dataset = "default",
    view: ViewName = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Merge two profiles, whatever kept them apart. Of two users, one has to give up the account.

    Its sessions, browsers and verified addresses end. What the user said becomes nobody's, and a part of the
    profile. A split takes the merge back, but not the end of the account.
    """
    from oneself.service.by_hand.asked import Why
    from oneself.service.context import Actor

    async def act(services: Services, at: DatasetRef, seen: View, *, dry: bool) -> Decided | None:
        why = Why(seen, reason, dry)
        return await services.decisions.merge(
            at, Actor("cli"), person_id, other, why, gives_up=give_up_account
        )

    ending = f" The account of {give_up_account} ends for good." if give_up_account else ""
    question = f"Merge {person_id} and {other}?{ending}"
    _decide(act, question, org, dataset, view, dry_run=dry_run, yes=yes, as_json=as_json)


def _asked(
    fragments: list[str] | None,
    absorbed: str | None,
    browser: str | None,
    identifier: str | None,
    *,
    everything: bool,
) -> SplitAsked:
    from oneself.service.by_hand.asked import (
        SplitAbsorbed,
        SplitBrowser,
        SplitFragments,
        SplitIdentifier,
        SplitSources,
    )

    chosen: list[SplitAsked] = []
    if fragments:
        chosen.append(SplitFragments(frozenset(_uuid(text) for text in fragments)))
    if absorbed:
        chosen.append(SplitAbsorbed(_uuid(absorbed)))
    if browser:
        chosen.append(SplitBrowser(browser))
    if identifier:
        chosen.append(SplitIdentifier(identifier))
    if everything:
        chosen.append(SplitSources())
    if len(chosen) != 1:
        raise InvalidInput("split", "Use one of --fragment, --absorbed, --browser, --identifier and --all.")
    return chosen[0]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("split", f"{text[:100]!r} is no id of a part or profile.") from None


def _decide(
    act: Callable[..., Awaitable[Decided | None]],
    question: str,
    org: str | None,
    dataset: str,
    view: str | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what a decision would come to, ask, and make it."""

    async def decided(services: Services, *, dry: bool) -> Decided:
        at = await dataset_of(services, org, dataset)
        seen = await view_of(services, at, view)
        with elapsed_time("Computing the profiles" if dry else "Deciding"):
            found = await act(services, at, seen, dry=dry)
        if found is None:
            raise NotFound(f"No profile of dataset {dataset} has this id.")
        return found

    if dry_run or not yes:
        _show(run(lambda services: decided(services, dry=True)), as_json=as_json and dry_run)
    if not dry_run:
        confirm(question, yes=yes)
        _show(run(lambda services: decided(services, dry=False)), as_json=as_json)


def _show(decided: Decided, *, as_json: bool) -> None:
    profiles = [_fields(profile) for profile in decided.profiles]
    given_up = None if decided.given_up is None else msgspec.to_builtins(decided.given_up)
    if as_json:
        show({"decision_id": decided.decision_id, "profiles": profiles, "given_up": given_up}, as_json=True)
        return
    heading = "It would leave these profiles" if decided.decision_id is None else "It left these profiles"
    out.print(f"{heading}: {len(profiles)}")
    for profile in profiles:
        out.print()
        values = [
            f"{scope}.{name}={msgspec.json.encode(value).decode()}"
            for scope, section in profile["values"].items()
            for name, value in section.items()
        ]
        show({**profile, "values": values or None, "consents": profile["consents"] or None}, as_json=False)
    if decided.given_up is not None:
        out.print()
        _show_given_up(decided.given_up, is_done=decided.decision_id is not None)


def _show_given_up(given_up: GivenUp, *, is_done: bool) -> None:
    account = "The account is deleted" if is_done else "The account would be deleted"
    if not given_up.has_account:
        account = "Another identity provider has the account: a later sign-in begins anew"
    verified = ", ".join(given_up.verified) or "nothing"
    out.print(f"User {given_up.user_id} gives up. {account}. Browsers that begin anew: {given_up.browsers}.")
    out.print(f"No longer verified: {verified}.")


def _fields(profile: DecidedProfile) -> dict[str, Any]:
    survivor = profile.view.survivor
    names = [f"{c.identifier.namespace}:{visible_value(c.identifier)}" for c in profile.identifiers]
    more = len(names) - IDENTIFIERS_MAX
    return {
        "profile_id": survivor.profile_id,
        "user_id": survivor.user_id,
        "parts": len(profile.fragment_ids),
        "events": profile.events,
        "identifiers": [*names[:IDENTIFIERS_MAX], *([f"and {more} more"] if more > 0 else [])],
        "values": survivor.record.values,
        "consents": {key: choice.is_consented for key, choice in survivor.consents.items()},
    }
