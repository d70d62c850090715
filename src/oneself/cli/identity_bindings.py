"""Changes identity attributes and channels from the command line.

Merges are previewed and confirmed first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from oneself.cli.change_preview import preview_change
from oneself.cli.context import err, run
from oneself.cli.output import confirm, dataset_of
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.core.identity.identity_type import IdentityBinding
    from oneself.service.configuration import PlannedChange
    from oneself.service.context import DatasetRef
    from oneself.service.rules.preview import Preview
    from oneself.service.schema.identity_bindings import Binding
    from oneself.services import Services

Change = Callable[["Services", str | None], Awaitable[Any]]


def bind_attributes(
    dataset: str, bind: list[str], unbind: list[str], *, org: str | None, yes: bool
) -> list[dict[str, Any]]:
    """Bind and unbind identity attributes, and return the resulting bindings."""

    async def change(services: Services, confirmation: str | None) -> list[IdentityBinding]:
        dataset_ref = await dataset_of(services, org, dataset)
        current = await services.identity.attributes.list(dataset_ref)
        if not bind and not unbind:
            return current
        bindings = _changed_bindings(current, bind, unbind)
        return await services.identity.attributes.put(dataset_ref, bindings, confirmation)

    return [
        {"name": binding.name, "identity_type": binding.type_id, "attribute": binding.attribute}
        for binding in _confirmed(change, yes=yes)
    ]


def set_channels(dataset: str, assignments: list[str], *, org: str | None, yes: bool) -> dict[str, str]:
    """Change the identity attribute of `user.id` on channels. Returns channel → identity attribute."""
    changes = dict(_split(assignment, "=", "CHANNEL=NAME") for assignment in assignments)

    async def change(services: Services, confirmation: str | None) -> dict[str, str]:
        dataset_ref = await dataset_of(services, org, dataset)
        config = await services.configurations.current(dataset_ref.dataset_id)
        if not changes:
            return await services.identity.attributes.channels(dataset_ref)
        bindings = {**config.channels, **{channel: name or None for channel, name in changes.items()}}
        return await services.identity.attributes.put_channels(dataset_ref, bindings, confirmation)

    channels: dict[str, str] = _confirmed(change, yes=yes)
    return channels


def preview_bindings(
    dataset: str, bind: list[str], unbind: list[str], *, org: str | None, as_json: bool
) -> None:
    """Preview what `bind_attributes` would do."""

    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        from oneself.service.identity.attributes import plan_bindings

        dataset_ref = await dataset_of(services, org, dataset)
        current = await services.identity.attributes.list(dataset_ref)
        return dataset_ref, [plan_bindings(_changed_bindings(current, bind, unbind), None)]

    preview_change(plan, as_json=as_json)


def preview_channels(dataset: str, assignments: list[str], *, org: str | None, as_json: bool) -> None:
    """Preview what `set_channels` would do."""
    changes = dict(_split(assignment, "=", "CHANNEL=NAME") for assignment in assignments)

    async def plan(services: Services) -> tuple[DatasetRef, list[PlannedChange]]:
        from oneself.service.identity.attributes import plan_bindings

        dataset_ref = await dataset_of(services, org, dataset)
        config = await services.configurations.current(dataset_ref.dataset_id)
        channels = {**config.channels, **{channel: name or None for channel, name in changes.items()}}
        return dataset_ref, [plan_bindings(None, channels)]

    preview_change(plan, as_json=as_json)


def print_preview(preview: Preview, label: str) -> None:
    """Print the effects of a change to standard error."""
    err.print(
        f"{label}: {preview.profiles_indexed} profiles hold a value; {preview.profiles_absorbed} of them "
        f"would be merged into {preview.groups} others; the largest group has {preview.largest_group}. "
        f"{preview.values_changed_count} values would change; {preview.refusals_count} merges are refused."
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


def _changed_bindings(current: list[IdentityBinding], bind: list[str], unbind: list[str]) -> list[Binding]:
    from oneself.service.schema.identity_bindings import Binding

    bindings = {item.name: Binding(item.name, item.type_id, item.attribute) for item in current}
    if unknown := [name for name in unbind if name not in bindings]:
        raise InvalidInput("unbind", f"{unknown[0]!r} is not bound.")
    for item in bind:
        name, _, rest = item.partition("=")
        type_id, _, attribute = rest.partition("@")
        bindings[name] = Binding(name, type_id or name, attribute or None)
    return [binding for name, binding in bindings.items() if name not in unbind]


def _split(text: str, mark: str, form: str) -> tuple[str, str]:
    before, separator, after = text.partition(mark)
    if not separator:
        raise InvalidInput("option", f"{text!r} does not have the form {form}.")
    return before, after
