"""`oneself events`: what happens in a dataset, the newest events and those that come. Read-only.

Law of this module: a line is for people, a JSON line for programs, both the same facts; what was sent may be
personal and is shown only if it is asked for. What a stranger's page made up cannot steer a terminal.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oneself.cli.context import out, run
from oneself.cli.output import AsJson, Dataset, Org, dataset_of, timestamp

if TYPE_CHECKING:
    from oneself.service.history.event_stream import StreamedEvent
    from oneself.services import Services

app = typer.Typer()

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")]
Name = Annotated[str | None, typer.Option("--name", help="Only events called exactly so.")]
Body = Annotated[bool, typer.Option("--body", help="With what was sent, which may be personal.")]
Lines = Annotated[
    int, typer.Option("--lines", "-n", min=0, max=200, help="So many of the newest events first.")
]
NAME_COLUMNS = 24


@app.command()
def events(
    org: Org = None,
    dataset: Dataset = "default",
    follow: Follow = False,
    name: Name = None,
    body: Body = False,
    lines: Lines = 20,
    as_json: AsJson = False,
) -> None:
    """Print the newest events of a dataset, the last one at the end; with --follow those that come as well.

    A line says when it was recorded, what it is called, the person's primary id and what it did. It appears
    about a second after the event became durable; none is missing, none comes twice.

    Example: oneself events --dataset web --follow
    """

    async def act(services: Services) -> None:
        from oneself.store.tables.event import EventFilter

        tail, event_filter = services.history.event_stream, EventFilter(name=name)
        dataset_ref = await dataset_of(services, org, dataset)
        now = await tail.watermark(dataset_ref)
        page = (
            await tail.page(dataset_ref, event_filter, before=now, size=lines, with_body=body)
            if lines
            else None
        )
        for event in reversed(page.events if page else ()):
            _print(event, as_json=as_json)
        if follow:
            async for batch in tail.follow(dataset_ref, event_filter, after=now, with_body=body):
                for event in batch.events:
                    _print(event, as_json=as_json)

    with suppress(KeyboardInterrupt):
        run(act)


def _print(event: StreamedEvent, *, as_json: bool) -> None:
    line = msgspec.json.encode(_facts(event)).decode() if as_json else _words(event)
    out.print(line, soft_wrap=True, markup=False)


def _facts(event: StreamedEvent) -> dict[str, Any]:
    """The facts as the REST interface names them (DESIGN §9)."""
    decision = event.decision
    facts = {
        "event_id": event.event_id,
        "name": event.name,
        "occurred_at": timestamp(event.occurred_at),
        "received_at": timestamp(event.received_at),
        "face": event.interface,
        "trust": event.trust,
        "primary_id": event.primary_id,
        "identity_types": event.identity_types,
        "decision": {"effect": decision.effect, "merged": decision.merged, "refusals": decision.refusals},
    }
    return facts if event.body is None else {**facts, "body": event.body}


def _words(event: StreamedEvent) -> str:
    """When, name, who, decision; below them the body if it was asked for."""
    line = (
        f"{timestamp(event.received_at)}  {_harmless(event.name or '-'):<{NAME_COLUMNS}}  "
        f"{_harmless(event.primary_id or '-'):<24}  {_decision(event)}"
    )
    if event.body is None:
        return line
    return f"{line}\n    {_harmless(msgspec.json.encode(event.body).decode())}"


def _decision(event: StreamedEvent) -> str:
    decision = event.decision
    words = [f"merged {decision.merged}" if decision.merged else decision.effect]
    if event.identity_types:
        words.append(f"by {', '.join(event.identity_types)}")
    if decision.refusals:
        words.append(f"refused {', '.join(decision.refusals)}")
    return _harmless("; ".join(words))


def _harmless(text: str) -> str:
    """The text with what is no printable character spelled out."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
