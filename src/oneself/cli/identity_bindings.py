"""Changing what identifies people, at a terminal: what would join people is shown and asked for first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from oneself.cli.context import err, run
from oneself.cli.output import confirm, dataset_of
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.core.identity.identity_type import IdentityBinding
    from oneself.service.rules.preview import Preview
    from oneself.service.schema.identity_bindings import Binding
    from oneself.services import Services

Change = Callable[["Services", str | None], Awaitable[Any]]


def bind_attributes(
    dataset: str, bind: list[str], unbind: list[str], *, org: str | None, yes: bool
) -> list[dict[str, Any]]:
    """Bind and unbind beside what is bound already; the rows that are bound then."""

    async def change(services: Services, confirmation: str | None) -> list[IdentityBinding]:
        at = await dataset_of(services, org, dataset)
        held = await services.identity.attributes.list(at)
        if not bind and not unbind:
            return held
        bindings = _changed_bindings(held, bind, unbind)
        return await services.identity.attributes.put(at, bindings, confirmation)

    return [
        {"name": item.name, "identity_type": item.type_id, "attribute": item.attribute}
        for item in _confirmed(change, yes=yes)
    ]


def set_channels(dataset: str, given: list[str], *, org: str | None, yes: bool) -> dict[str, str]:
    """Change what `user.id` stands for on the channels that are named; what it stands for then."""
    changes = dict(_split(item, "=", "CHANNEL=NAME") for item in given)

    async def change(services: Services, confirmation: str | None) -> dict[str, str]:
        at = await dataset_of(services, org, dataset)
        config = await services.configurations.current(at.dataset_id)
        if not changes:
            return await services.identity.attributes.channels(at)
        bindings = {**config.channels, **{channel: name or None for channel, name in changes.items()}}
        return await services.identity.attributes.put_channels(at, bindings, confirmation)

    found: dict[str, str] = _confirmed(change, yes=yes)
    return found


def print_preview(preview: Preview, label: str) -> None:
    """What a change would do, in a few lines."""
    err.print(
        f"{label}: {preview.profiles_indexed} profiles hold a value, {preview.profiles_absorbed} of them "
        f"would be absorbed into {preview.groups} others; the largest group has {preview.largest_group}. "
        f"{preview.values_changed_count} values would change, {preview.refusals_count} pairs be kept apart."
    )


def _confirmed(change: Change, *, yes: bool) -> Any:
    from oneself.service.identity.attributes import ConfirmationRequired

    try:
        return run(lambda services: change(services, None))
    except ConfirmationRequired as unconfirmed:
        print_preview(unconfirmed.preview, "Preview")
        confirm("Apply it?", yes=yes)
        confirmation = unconfirmed.confirmation
        return run(lambda services: change(services, confirmation))


def _changed_bindings(held: list[IdentityBinding], bind: list[str], unbind: list[str]) -> list[Binding]:
    from oneself.service.schema.identity_bindings import Binding

    known = {item.name: Binding(item.name, item.type_id, item.attribute) for item in held}
    if unknown := [name for name in unbind if name not in known]:
        raise InvalidInput("unbind", f"{unknown[0]!r} is not bound.")
    for item in bind:
        name, _, rest = item.partition("=")
        type_id, _, attribute = rest.partition("@")
        known[name] = Binding(name, type_id or name, attribute or None)
    return [binding for name, binding in known.items() if name not in unbind]


def _split(text: str, mark: str, form: str) -> tuple[str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise InvalidInput("option", f"{text!r} is not of the form {form}.")
    return before, after
