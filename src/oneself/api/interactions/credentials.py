"""Basic credentials of an application, as the event endpoints and the look-ups of this wire require them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneself.api.interactions.errors import RequestRejected
from oneself.auth.callers.principal import Principal
from oneself.errors import Unauthenticated
from oneself.service.context import DatasetRef

if TYPE_CHECKING:
    from oneself.services import Services

#: The permission to send events.
EVENT_CREATE = "internal_cds_event_create"
SEND_CREDENTIALS = "Send Basic credentials of an application of this organisation."


async def authenticate_sender(
    services: Services, dataset_ref: DatasetRef, authorization: str | None, address: str
) -> Principal:
    """The application behind an `Authorization` header. Raises RequestRejected (401, 403)."""
    try:
        caller = await services.callers.client_basic.authenticate(dataset_ref, authorization, address)
    except Unauthenticated:
        raise RequestRejected(401, SEND_CREDENTIALS) from None
    if not caller.holds(EVENT_CREATE):
        raise RequestRejected(403, f"The application lacks the permission {EVENT_CREATE}.")
    return caller
