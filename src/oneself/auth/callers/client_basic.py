"""Applications that show their id and secret with every request (HTTP Basic), as the event wires have it
(DESIGN §9; wire/interactions §4).

Law of this module: a failed check never says which half was wrong, and wrong secrets are counted as at the
token endpoint: whoever has the right one is not held up by others who guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from oneself.auth.callers.guard import basic_credentials, unauthenticated
from oneself.auth.callers.principal import Principal
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import Application
from oneself.service.directory.login_throttle import Subject

if TYPE_CHECKING:
    from oneself.bootstrap_identity import Identity


async def authenticate_basic(
    identity: Identity, dataset_ref: DatasetRef, authorization: str | None, address: str = ""
) -> Principal:
    """The application behind the header; `address`: where it calls from. Raises Unauthenticated."""
    given = basic_credentials(authorization)
    if given is None:
        raise unauthenticated()
    application = await identity.applications.find(dataset_ref, unquote(given[0]))
    if application is None or not await _is_right(identity, dataset_ref, application, given[1], address):
        raise unauthenticated()
    return Principal(
        application=application.client_id,
        subject=application.client_id,
        permissions=frozenset(application.permissions),
        org=dataset_ref.handle,
    )


async def _is_right(
    identity: Identity, dataset_ref: DatasetRef, application: Application, secret: str, address: str
) -> bool:
    if identity.applications.remembers_secret(application, secret):
        return True
    subject: Subject = ("client", f"{application.client_id} {address}")
    if await identity.attempts.retry_after_s(dataset_ref, subject):
        return False
    for written in dict.fromkeys((secret, unquote(secret))):
        if await identity.applications.secret_matches(application, written):
            return True
    await identity.attempts.failed(dataset_ref, subject)
    return False
