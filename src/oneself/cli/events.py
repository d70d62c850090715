"""`oneself events`: the newest events of a dataset, and new ones as they are recorded. Read-only.

Invariants: a text line and a JSON line contain the same facts. The body may be personal data and is printed
only on request. Control characters in an event are escaped, so that they cannot control the terminal.
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

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Print new events until Ctrl-C.")]
Name = Annotated[str | None, typer.Option("--name", help="Only events with exactly this name.")]
Body = Annotated[bool, typer.Option("--body", help="Print the body, which may be personal data.")]
Lines = Annotated[
    int, typer.Option("--lines", "-n", min=0, max=200, help="The number of past events to print.")
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
    """Print the newest events of a dataset in order; with --follow also new ones.

    A line contains the time of recording, the name, the primary id and the decision. It is printed about one
    second after the event is stored. Each event is printed exactly once.

    Example: oneself events --dataset web --follow
    """

    async def act(services: Services) -> None:
        from oneself.service.history.person_events import EventFilter

        stream, filters = services.history.event_stream, EventFilter(name=name)
        dataset_ref = await dataset_of(services, org, dataset)
        now = await stream.horizon(dataset_ref)
        page = (
            await stream.page(dataset_ref, filters, before=now, size=lines, with_body=body) if lines else None
        )
        for event in reversed(page.events if page else ()):
            _print(event, as_json=as_json)
        if follow:
            async for batch in stream.follow(dataset_ref, filters, after=now, with_body=body):
                for event in batch.events:
                    _print(event, as_json=as_json)

    with suppress(KeyboardInterrupt):
        run(act)


def _print(event: StreamedEvent, *, as_json: bool) -> None:
    line = msgspec.json.encode(_facts(event)).decode() if as_json else _line(event)
    out.print(line, soft_wrap=True, markup=False)


def _facts(event: StreamedEvent) -> dict[str, Any]:
    """The facts, with the names of the REST interface."""
    decision = event.decision
    facts = {
        "event_id": event.event_id,
        "name": event.name,
        "occurred_at": timestamp(event.occurred_at),
        "received_at": timestamp(event.received_at),
        "face": event.face,
        "trust": event.trust,
        "primary_id": event.primary_id,
        "identity_types": event.identity_types,
        "decision": {"effect": decision.effect, "merged": decision.merged, "refusals": decision.refusals},
    }
    return facts if event.body is None else {**facts, "body": event.body}


def _line(event: StreamedEvent) -> str:
    """Time, name, primary id, decision; below them the body if it was requested."""
    line = (
        f"{timestamp(event.received_at)}  {_printable(event.name or '-'):<{NAME_COLUMNS}}  "
        f"{_printable(event.primary_id or '-'):<24}  {_decision(event)}"
    )
    if event.body is None:
        return line
    return f"{line}\n    {_printable(msgspec.json.encode(event.body).decode())}"


def _decision(event: StreamedEvent) -> str:
    decision = event.decision
    words = [f"merged {decision.merged}" if decision.merged else decision.effect]
    if event.identity_types:
        words.append(f"by {', '.join(event.identity_types)}")
    if decision.refusals:
        words.append(f"refused {', '.join(decision.refusals)}")
    return _printable("; ".join(words))


def _printable(text: str) -> str:
    """The text with escapes for characters that are not printable."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
