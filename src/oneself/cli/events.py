"""`oneself events`: prints the newest events of a dataset and follows new ones. Read-only.

Invariants: plain lines and JSON lines contain the same fields. Bodies may contain personal data and are
printed only with --body. Values from events cannot send control sequences to the terminal.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oneself.cli.context import out, run
from oneself.cli.output import AsJson, Dataset, Org, dataset_of, escaped, timestamp

if TYPE_CHECKING:
    from oneself.service.history.event_stream import StreamedEvent
    from oneself.services import Services

app = typer.Typer()

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Also print new events, until Ctrl-C.")]
Name = Annotated[str | None, typer.Option("--name", help="Only events with exactly this name.")]
Body = Annotated[bool, typer.Option("--body", help="Also print the body, which may contain personal data.")]
Lines = Annotated[
    int, typer.Option("--lines", "-n", min=0, max=200, help="The number of existing events to print.")
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
    """Print the newest events of a dataset, the newest one last. With --follow, also print new events.

    A line contains the time, the name, the primary id and the decision. A new event is printed once, about
    one second after it was stored. No event is omitted.

    Example: oneself events --dataset web --follow
    """

    async def act(services: Services) -> None:
        from oneself.store.tables.event import EventFilter

        stream, event_filter = services.history.event_stream, EventFilter(name=name)
        dataset_ref = await dataset_of(services, org, dataset)
        now = await stream.watermark(dataset_ref)
        page = (
            await stream.page(dataset_ref, event_filter, before=now, size=lines, with_body=body)
            if lines
            else None
        )
        for event in reversed(page.events if page else ()):
            _print(event, as_json=as_json)
        if follow:
            async for batch in stream.follow(dataset_ref, event_filter, after=now, with_body=body):
                for event in batch.events:
                    _print(event, as_json=as_json)

    with suppress(KeyboardInterrupt):
        run(act)


def _print(event: StreamedEvent, *, as_json: bool) -> None:
    line = msgspec.json.encode(_fields(event)).decode() if as_json else _line(event)
    out.print(line, soft_wrap=True, markup=False)


def _fields(event: StreamedEvent) -> dict[str, Any]:
    """The fields of an event with the names of the REST interface."""
    decision = event.decision
    fields = {
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
    return fields if event.body is None else {**fields, "body": event.body}


def _line(event: StreamedEvent) -> str:
    """Time, name, primary id and decision; the body on a second line if requested."""
    line = (
        f"{timestamp(event.received_at)}  {escaped(event.name or '-'):<{NAME_COLUMNS}}  "
        f"{escaped(event.primary_id or '-'):<24}  {_decision(event)}"
    )
    if event.body is None:
        return line
    return f"{line}\n    {escaped(msgspec.json.encode(event.body).decode())}"


def _decision(event: StreamedEvent) -> str:
    decision = event.decision
    parts = [f"merged {decision.merged}" if decision.merged else decision.effect]
    if event.identity_types:
        parts.append(f"by {', '.join(event.identity_types)}")
    if decision.refusals:
        parts.append(f"refused {', '.join(decision.refusals)}")
    return escaped("; ".join(parts))
