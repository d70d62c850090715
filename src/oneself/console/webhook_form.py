"""The form of a webhook: what its fields mean.

Invariants: no decisions about webhooks; `service.feed.webhooks` decides.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from oneself.adapters.change_event import EVENT_TYPES
from oneself.console.forms import first
from oneself.core.identity_graph.joins import View
from oneself.service.context import DEFAULT_DATASET
from oneself.service.feed.webhooks import NewWebhook, Webhook
from oneself.web.forms import Parameters


class WebhookFields(msgspec.Struct, frozen=True):
    """The form of a webhook as somebody filled it in, or as a webhook is stored."""

    url: str = ""
    dataset: str = DEFAULT_DATASET
    view: str = "proven"
    types: tuple[str, ...] = EVENT_TYPES
    is_active: bool = True

    @property
    def chosen_types(self) -> list[str]:
        """The types as they are stored: none stands for all, also for those of later versions."""
        return [] if set(self.types) == set(EVENT_TYPES) else list(self.types)

    def new(self) -> NewWebhook:
        """The webhook to create. The service looks at each property."""
        return NewWebhook(self.url, cast("View", self.view), self.chosen_types)

    def changes(self) -> dict[str, Any]:
        """What changes of a stored webhook."""
        return {
            "url": self.url,
            "view": self.view,
            "types": self.chosen_types,
            "is_active": self.is_active,
        }


def fields_of(webhook: Webhook) -> WebhookFields:
    """The form that changes a stored webhook."""
    row = webhook.row
    return WebhookFields(row.url, row.dataset, row.view, tuple(row.types) or EVENT_TYPES, row.is_active)


def read_fields(form: Parameters) -> WebhookFields:
    """The fields of a form."""
    return WebhookFields(
        url=first(form, "url"),
        dataset=first(form, "dataset") or DEFAULT_DATASET,
        view=first(form, "view"),
        types=tuple(form.get("types", ())),
        is_active=first(form, "is_active") == "yes",
    )
