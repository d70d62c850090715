"""Applications: the clients of an organisation and what each may do.

    kind      has a secret   signs users in    asks in its own name
    machine   yes            no                yes (client credentials)
    web       yes            yes               yes
    browser   no             yes, with PKCE    no

Invariants: a secret is returned once, when it is made. Redirect URIs are compared exactly and stored exactly.
A change is decided on the current application while it is locked.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

import msgspec

from oneself.core.config.difference import differences
from oneself.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from oneself.service.audited import new_secret_of, put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import Hasher, new_secret
from oneself.service.directory.tokens import AccessTokens
from oneself.store.directory import Directory
from oneself.store.tables.application import ApplicationChanges, ApplicationRow, ApplicationTable

Kind = Literal["machine", "web", "browser"]
KINDS: tuple[str, ...] = get_args(Kind)
#: Fields of a saved application that can change.
CHANGEABLE = ("name", "redirect_uris", "post_logout_redirect_uris", "permissions")
NAME_CHARACTERS_MAX = 100
REDIRECT_URIS_MAX = 50
URI_CHARACTERS_MAX = 2_000
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,100}")
#: Schemes with which a redirect would run a script or open a local resource.
_FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source"})


class Application(msgspec.Struct, frozen=True):
    """A client of an organisation."""

    client_id: str
    name: str
    kind: Kind
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    permissions: tuple[str, ...]
    #: In µs since 1970.
    created_at: int
    #: None: the application has no secret.
    secret_hash: str | None = None

    @property
    def signs_users_in(self) -> bool:
        """Whether users sign in to it; a machine application asks in its own name alone."""
        return self.kind != "machine"


class NewApplication(msgspec.Struct, frozen=True):
    """An application to create; the client id and the secret are generated unless given."""

    name: str
    kind: str = "machine"
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    permissions: Collection[str] = ()
    client_id: str | None = None
    client_secret: str | None = None


class Applications:
    """Creates, finds, changes and authenticates applications. `known`: the permissions that exist."""

    def __init__(
        self, directory: Directory, hasher: Hasher, tokens: AccessTokens, known: Sequence[str]
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._tokens = tokens
        self.known = tuple(known)

    async def create(self, dataset_ref: DatasetRef, new: NewApplication) -> tuple[Application, str | None]:
        """Create an application; returns it and, this once, its secret (None for a browser application).

        Raises InvalidInput with the field's name as code, Conflict if the client id is taken.
        """
        check(new, self.known)
        client_id = new.client_id or uuid.uuid4().hex
        secret = None if new.kind == "browser" else new.client_secret or new_secret()
        row = await self._row(new, client_id, secret)
        created = _application(row)
        async with self._directory.transaction() as transaction:
            tables = transaction.of(dataset_ref.org_id)
            if not await tables.applications.put(row):
                sentence = f"There is an application with the client id {client_id!r} already."
                raise Conflict(sentence, code="taken")
            await put_audited(
                tables, "application", differences(_subject(client_id), None, _audited(created))
            )
        return created, secret

    async def find(self, dataset_ref: DatasetRef, client_id: str) -> Application | None:
        """An application by its client id; None if there is none."""
        return await _find(self._directory.of(dataset_ref.org_id).applications, client_id)

    async def get(self, dataset_ref: DatasetRef, client_id: str) -> Application:
        """As `find`; raises NotFound."""
        return await _get(self._directory.of(dataset_ref.org_id).applications, dataset_ref, client_id)

    async def list(self, dataset_ref: DatasetRef) -> list[Application]:
        """Every application, by name."""
        rows = await self._directory.of(dataset_ref.org_id).applications.list()
        return [_application(row) for row in rows]

    def has_verified_secret(self, application: Application, secret: str) -> bool:
        """Whether this secret was verified a short while ago; looks into memory alone."""
        return application.secret_hash is not None and self._hasher.is_cached(application.secret_hash, secret)

    async def secret_matches(self, application: Application, secret: str) -> bool:
        """Whether this is the application's secret; no secret matches a browser application."""
        if application.secret_hash is None:
            return False
        return await self._hasher.matches_often(application.secret_hash, secret)

    async def rotate_secret(self, dataset_ref: DatasetRef, client_id: str) -> str:
        """Replace the secret and return the new one, this once; the old one is invalid at once.

        Raises InvalidInput for a browser application, NotFound.
        """
        application = await self.get(dataset_ref, client_id)
        if application.kind == "browser":
            raise InvalidInput("kind", "A browser application has no secret.")
        secret = new_secret()
        hashed = await self._hasher.hash(secret)
        async with self._directory.transaction() as transaction:
            tables = transaction.of(dataset_ref.org_id)
            if not await tables.applications.put_secret(client_id, hashed, time.time_ns() // 1000):
                raise _unknown(dataset_ref, client_id)
            await put_audited(tables, "application", [new_secret_of(_subject(client_id))])
        return secret

    async def change(
        self,
        dataset_ref: DatasetRef,
        client_id: str,
        *,
        is_expected: Callable[[Application], bool] = lambda known: True,
        **fields: Any,
    ) -> Application:
        """Change name, redirects or permissions. Losing a permission revokes the application's tokens.

        `is_expected`: whether the application is as the caller knows it. Raises InvalidInput with the field's
        name as code, NotFound, PreconditionFailed if it is not as expected.
        """
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            applications = tables.applications
            before = await _get(applications, dataset_ref, client_id)
            if not is_expected(before):
                raise PreconditionFailed("The application was changed in the meantime.")
            changes = self._changes(before, fields)
            await applications.put_changes(client_id, changes, time.time_ns() // 1000)
            if set(before.permissions) - set(changes.permissions):
                await self._tokens.put_revoked(transaction, dataset_ref, f"client:{client_id}")
            after = await _get(applications, dataset_ref, client_id)
            changed = differences(_subject(client_id), _audited(before), _audited(after))
            await put_audited(tables, "application", changed)
            return after

    async def delete(self, dataset_ref: DatasetRef, client_id: str) -> None:
        """Delete an application and revoke the tokens made for it. Raises NotFound."""
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            before = await _get(tables.applications, dataset_ref, client_id)
            await self._tokens.put_revoked_application(transaction, dataset_ref, client_id)
            await put_audited(tables, "application", differences(_subject(client_id), _audited(before), None))

    def _changes(self, before: Application, fields: Mapping[str, Any]) -> ApplicationChanges:
        changed = {name: fields.get(name, getattr(before, name)) for name in CHANGEABLE}
        check(NewApplication(kind=before.kind, **changed), self.known)
        permissions = [name for name in self.known if name in changed["permissions"]]
        return ApplicationChanges(**{**changed, "permissions": permissions})

    async def _row(self, new: NewApplication, client_id: str, secret: str | None) -> ApplicationRow:
        return ApplicationRow(
            client_id=client_id,
            name=new.name,
            kind=new.kind,
            redirect_uris=new.redirect_uris,
            post_logout_redirect_uris=new.post_logout_redirect_uris,
            permissions=[name for name in self.known if name in new.permissions],
            created_at=time.time_ns() // 1000,
            secret_hash=await self._hasher.hash(secret) if secret else None,
        )


def check(new: NewApplication, known: Collection[str]) -> None:
    """Raise InvalidInput for the first invalid field."""
    if not new.name.strip() or len(new.name) > NAME_CHARACTERS_MAX or not new.name.isprintable():
        raise InvalidInput("name", f"The name must have 1 to {NAME_CHARACTERS_MAX} printable characters.")
    if new.kind not in KINDS:
        raise InvalidInput("kind", f"The kind must be one of: {', '.join(KINDS)}.")
    if new.client_id is not None and not _CLIENT_ID.fullmatch(new.client_id):
        raise InvalidInput("client_id", "The client id must have 1 to 100 letters, digits or . _ ~ -.")
    # An operator who moves here keeps the secrets that the clients have, whatever their length.
    if new.client_secret is not None and not new.client_secret.strip():
        raise InvalidInput("client_secret", "The client secret must not be empty.")
    if unknown := sorted(set(new.permissions) - set(known)):
        raise InvalidInput("permissions", f"There is no permission {unknown[0]!r}.")
    _check_redirects(new)


def _check_redirects(new: NewApplication) -> None:
    if new.kind == "machine" and new.redirect_uris:
        raise InvalidInput(
            "redirect_uris", "A machine application signs no users in and has no redirect URI."
        )
    if new.kind != "machine" and not new.redirect_uris:
        raise InvalidInput("redirect_uris", f"A {new.kind} application needs at least one redirect URI.")
    for field in ("redirect_uris", "post_logout_redirect_uris"):
        uris = getattr(new, field)
        if len(uris) > REDIRECT_URIS_MAX:
            raise InvalidInput(field, f"An application has at most {REDIRECT_URIS_MAX} {field}.")
        for uri in uris:
            if problem := _problem_of(uri):
                raise InvalidInput(field, f"{uri!r} {problem}.")


def _problem_of(uri: str) -> str | None:
    if len(uri) > URI_CHARACTERS_MAX or not re.fullmatch(r"[\x21-\x7e]+", uri):
        return f"is not a URI of at most {URI_CHARACTERS_MAX} plain characters"
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "is not a URI"
    if not parts.scheme or parts.scheme in _FORBIDDEN_SCHEMES:
        return "has no scheme that a browser may be sent to"
    if parts.fragment or "#" in uri:
        return "has a fragment, which OAuth does not allow"
    if parts.scheme in ("http", "https") and not parts.hostname:
        return "names no host"
    return None


async def _find(applications: ApplicationTable, client_id: str) -> Application | None:
    if not _CLIENT_ID.fullmatch(client_id):
        return None
    row = await applications.find(client_id)
    return None if row is None else _application(row)


async def _get(applications: ApplicationTable, dataset_ref: DatasetRef, client_id: str) -> Application:
    application = await _find(applications, client_id)
    if application is None:
        raise _unknown(dataset_ref, client_id)
    return application


def _subject(client_id: str) -> str:
    return f"application {client_id}"


def _audited(application: Application) -> dict[str, Any]:
    """What the audit log has of an application."""
    audited = ("kind", *CHANGEABLE)
    return {name: getattr(application, name) for name in audited}


def _unknown(dataset_ref: DatasetRef, client_id: str) -> NotFound:
    return NotFound(f"There is no application with the client id {client_id!r} in {dataset_ref.handle}.")


def _application(row: ApplicationRow) -> Application:
    return Application(
        client_id=row.client_id,
        name=row.name,
        kind=cast(Kind, row.kind),
        redirect_uris=tuple(row.redirect_uris),
        post_logout_redirect_uris=tuple(row.post_logout_redirect_uris),
        permissions=tuple(row.permissions),
        created_at=row.created_at,
        secret_hash=row.secret_hash,
    )
