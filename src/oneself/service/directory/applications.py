"""Applications: the clients of an organisation and what each may do (DESIGN §3).

    kind      has a secret   signs people in   asks in its own name
    machine   yes            no                yes (client credentials)
    web       yes            yes               yes
    browser   no             yes, with PKCE    no

A secret is shown once, when it is made. Redirect URIs are compared exactly, so they are written exactly.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.context import DatasetRef
from oneself.service.crypto import Hasher, new_secret
from oneself.service.directory.tokens import AccessTokens
from oneself.store.directory import Directory

Kind = Literal["machine", "web", "browser"]
KINDS: tuple[str, ...] = get_args(Kind)
NAME_CHARACTERS_MAX = 100
REDIRECT_URIS_MAX = 50
URI_CHARACTERS_MAX = 2_000
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,100}")
# Schemes in which a redirect would run or show something of ours or the browser's.
_FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source"})


class Application(msgspec.Struct, frozen=True):
    """A client as the rest of the house sees it; its secret is not part of it."""

    client_id: str
    name: str
    kind: Kind
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    permissions: tuple[str, ...]
    created_at: int
    secret_hash: str | None = None

    @property
    def signs_people_in(self) -> bool:
        return self.kind != "machine"


class NewApplication(msgspec.Struct, frozen=True):
    """What is asked for; the client id and the secret are drawn unless given."""

    name: str
    kind: str = "machine"
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    permissions: Collection[str] = ()
    client_id: str | None = None
    client_secret: str | None = None


class Applications:
    """Makes, finds and authenticates applications. `known` are the permissions that exist."""

    def __init__(
        self, directory: Directory, hasher: Hasher, tokens: AccessTokens, known: Sequence[str]
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._tokens = tokens
        self.known = tuple(known)

    async def create(self, dataset_ref: DatasetRef, new: NewApplication) -> tuple[Application, str | None]:
        """The application and, this once, its secret (None for a browser application).

        Raises InvalidInput with the field's name as code, Conflict when the client id is taken.
        """
        check(new, self.known)
        client_id = new.client_id or uuid.uuid4().hex
        secret = None if new.kind == "browser" else new.client_secret or new_secret()
        columns = (client_id, *await self._columns(new, secret))
        if not await self._directory.put_application(dataset_ref.org_id, *columns):
            raise Conflict(f"There is an application with the client id {client_id!r} already.", code="taken")
        return await self.get(dataset_ref, client_id), secret

    async def find(self, dataset_ref: DatasetRef, client_id: str) -> Application | None:
        if not _CLIENT_ID.fullmatch(client_id):
            return None
        row = await self._directory.find_application(dataset_ref.org_id, client_id)
        return _application(row) if row else None

    async def get(self, dataset_ref: DatasetRef, client_id: str) -> Application:
        """As `find`; raises NotFound."""
        application = await self.find(dataset_ref, client_id)
        if application is None:
            raise NotFound(
                f"There is no application with the client id {client_id!r} in {dataset_ref.handle}."
            )
        return application

    async def list(self, dataset_ref: DatasetRef) -> list[Application]:
        return [_application(row) for row in await self._directory.list_applications(dataset_ref.org_id)]

    def remembers_secret(self, application: Application, secret: str) -> bool:
        """Whether this secret was found right a short while ago; costs nothing to ask."""
        return application.secret_hash is not None and self._hasher.remembers(application.secret_hash, secret)

    async def secret_matches(self, application: Application, secret: str) -> bool:
        """Whether this is the application's secret; a browser application has none that could match."""
        if application.secret_hash is None:
            return False
        return await self._hasher.matches_often(application.secret_hash, secret)

    async def rotate_secret(self, dataset_ref: DatasetRef, client_id: str) -> str:
        """Make a new secret and show it once; the old one stops at once."""
        application = await self.get(dataset_ref, client_id)
        secret = new_secret()
        hashed = await self._hasher.hash(secret)
        if not await self._directory.put_application_secret(
            dataset_ref.org_id, application.client_id, hashed, time.time_ns() // 1000
        ):
            raise InvalidInput("kind", "Invalid request.", "A browser application has no secret.")
        return secret

    async def change(self, dataset_ref: DatasetRef, client_id: str, **fields: Any) -> Application:
        """Change name, redirects or permissions; whoever may do less than before asks for new tokens.

        Raises InvalidInput with the field's name as code, NotFound.
        """
        before = await self.get(dataset_ref, client_id)
        named = ("name", "redirect_uris", "post_logout_redirect_uris", "permissions")
        kept = {name: fields.get(name, getattr(before, name)) for name in named}
        check(NewApplication(kind=before.kind, **kept), self.known)
        permissions = [name for name in self.known if name in kept["permissions"]]
        redirects, after_logout = list(kept["redirect_uris"]), list(kept["post_logout_redirect_uris"])
        columns = (client_id, kept["name"], redirects, after_logout, permissions, time.time_ns() // 1000)
        async with self._directory.database.transaction() as connection:
            if not await self._directory.put_application_changes(connection, dataset_ref.org_id, *columns):
                raise NotFound(f"There is no application with the client id {client_id!r}.")
            if set(before.permissions) - set(permissions):
                await self._tokens.put_revoked(connection, dataset_ref, f"client:{client_id}")
        return await self.get(dataset_ref, client_id)

    async def delete(self, dataset_ref: DatasetRef, client_id: str) -> None:
        """Remove an application; every token of its people stops. Raises NotFound."""
        await self.get(dataset_ref, client_id)
        await self._tokens.revoke_application(dataset_ref, client_id)

    async def _columns(self, new: NewApplication, secret: str | None) -> tuple[Any, ...]:
        hashed = await self._hasher.hash(secret) if secret else None
        permissions = [name for name in self.known if name in new.permissions]
        redirects, after_logout = list(new.redirect_uris), list(new.post_logout_redirect_uris)
        return new.name, new.kind, hashed, redirects, after_logout, permissions, time.time_ns() // 1000


def check(new: NewApplication, known: Collection[str]) -> None:
    """Raise InvalidInput naming the first field that cannot be."""
    if not new.name.strip() or len(new.name) > NAME_CHARACTERS_MAX or not new.name.isprintable():
        raise _invalid("name", f"a name has 1 to {NAME_CHARACTERS_MAX} printable characters")
    if new.kind not in KINDS:
        raise _invalid("kind", f"a kind is one of {', '.join(KINDS)}")
    if new.client_id is not None and not _CLIENT_ID.fullmatch(new.client_id):
        raise _invalid("client_id", "a client id has 1 to 100 letters, digits or . _ ~ -")
    # Whoever moves here brings secrets that their clients know already; those we draw are long.
    if new.client_secret is not None and not new.client_secret.strip():
        raise _invalid("client_secret", "a secret is not empty")
    if unknown := sorted(set(new.permissions) - set(known)):
        raise _invalid("permissions", f"there is no permission {unknown[0]!r}")
    _check_redirects(new)


def _check_redirects(new: NewApplication) -> None:
    if new.kind == "machine" and new.redirect_uris:
        raise _invalid("redirect_uris", "a machine application signs nobody in and has no redirect URI")
    if new.kind != "machine" and not new.redirect_uris:
        raise _invalid("redirect_uris", f"a {new.kind} application needs at least one redirect URI")
    for field in ("redirect_uris", "post_logout_redirect_uris"):
        uris = getattr(new, field)
        if len(uris) > REDIRECT_URIS_MAX:
            raise _invalid(field, f"at most {REDIRECT_URIS_MAX} are kept")
        for uri in uris:
            if problem := _problem_of(uri):
                raise _invalid(field, f"{uri!r} {problem}")


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


def _invalid(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(field, "Invalid request.", sentence[0].upper() + sentence[1:] + ".")


def _application(row: Any) -> Application:
    return Application(
        client_id=row["client_id"],
        name=row["name"],
        kind=row["kind"],
        redirect_uris=tuple(row["redirect_uris"]),
        post_logout_redirect_uris=tuple(row["post_logout_redirect_uris"]),
        permissions=tuple(row["permissions"]),
        created_at=row["created_at"],
        secret_hash=row["secret_hash"],
    )
