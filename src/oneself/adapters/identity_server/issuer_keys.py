"""The public keys of external issuers, cached (RFC 7517, OpenID Connect Discovery 1.0).

    first token, key unknown, keys expired ─▶ fetch, one at a time, at most once per RETRY_S ─▶ cached
    issuer does not answer                 ─▶ the old keys stay valid, until STALE_KEYS_MAX_S

Invariants: a token can cause a fetch only from an address that an administrator configured, at most once per
RETRY_S. An answer is limited in size and time, and comes from the configured host.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from oneself.adapters.http import LimitedHttpClient
from oneself.errors import IdentityServerFailed

_logger = structlog.get_logger("oneself.issuer_keys")

DISCOVERY = "/.well-known/openid-configuration"
#: A withdrawn key is accepted no longer than this.
KEYS_LIFE_S = 3600.0
#: How long the keys of an issuer that does not answer stay valid.
STALE_KEYS_MAX_S = 24 * 3600.0
#: Between two fetches from one issuer, whatever is asked for: for rotated keys soon enough.
RETRY_S = 5.0
TIMEOUT_S = 5.0
FETCH_TIMEOUT_S = 8.0
ANSWER_BYTES_MAX = 512 * 1024
REDIRECTS_MAX = 3
KEYS_MAX = 50
SOURCES_MAX = 1_000
#: NIST SP 800-131A: shorter ones are not acceptable any more.
RSA_BITS_MIN = 2048
#: Kind of key by signature algorithm: what is not here is not honoured (RFC 8725 §3.1), `none` least of all.
KEY_TYPE_OF_ALGORITHM = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
_CLASSES: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class KeySource(msgspec.Struct, frozen=True):
    """Where keys are: at `jwks_uri`, else where the discovery document says, else at `otherwise`."""

    issuer: str
    jwks_uri: str | None = None
    otherwise: str | None = None


class IssuerKey(msgspec.Struct, frozen=True):
    """A key and what its issuer says of it."""

    key: Any
    kind: str
    key_id: str | None = None
    algorithm: str | None = None


class _SourceKeys:
    """What is known of one source."""

    def __init__(self) -> None:
        self.keys: tuple[IssuerKey, ...] = ()
        self.fetched_at = float("-inf")
        self.tried_at = float("-inf")
        self.lock = asyncio.Lock()

    def needs_refresh(self, key_id: str | None, now: float, retry_s: float) -> bool:
        if now - self.tried_at < retry_s:
            return False
        is_known = any(key_id in (None, key.key_id) for key in self.keys)
        return now - self.fetched_at > KEYS_LIFE_S or not is_known


class IssuerKeys:
    """Finds public keys; closing it closes its connections."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        retry_s: float = RETRY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = LimitedHttpClient(
            "The issuer", timeout_s=TIMEOUT_S, answer_bytes_max=ANSWER_BYTES_MAX, transport=transport
        )
        self._retry_s = retry_s
        self._monotonic = monotonic
        self._cached: dict[KeySource, _SourceKeys] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def find(self, source: KeySource, key_id: str | None, algorithm: str) -> list[Any]:
        """The keys that may have signed a token with this header; none if the issuer does not answer."""
        cached = self._at(source)
        if cached.needs_refresh(key_id, self._monotonic(), self._retry_s):
            async with cached.lock:
                if cached.needs_refresh(key_id, self._monotonic(), self._retry_s):
                    await self._refresh(source, cached)
        if self._monotonic() - cached.fetched_at > STALE_KEYS_MAX_S:
            return []
        kind = KEY_TYPE_OF_ALGORITHM.get(algorithm)
        return [
            key.key
            for key in cached.keys
            if key.kind == kind
            and (key_id is None or key.key_id in (None, key_id))
            and key.algorithm in (None, algorithm)
        ]

    def _at(self, source: KeySource) -> _SourceKeys:
        if source not in self._cached and len(self._cached) >= SOURCES_MAX:
            del self._cached[next(iter(self._cached))]
        return self._cached.setdefault(source, _SourceKeys())

    async def _refresh(self, source: KeySource, cached: _SourceKeys) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                cached.keys = await self._read(source)
                cached.fetched_at = self._monotonic()
        except (IdentityServerFailed, TimeoutError) as error:
            _logger.warning("issuer_keys_not_read", issuer=source.issuer, cause=str(error) or "too slow")
        finally:
            cached.tried_at = self._monotonic()

    async def _read(self, source: KeySource) -> tuple[IssuerKey, ...]:
        address = source.jwks_uri or await self._discover(source)
        document = await self._fetch(address)
        keys = document.get("keys")
        if not isinstance(keys, list):
            raise IdentityServerFailed("The issuer's key set is invalid.")
        return await asyncio.to_thread(_keys, keys[:KEYS_MAX])

    async def _discover(self, source: KeySource) -> str:
        """Where the issuer says its keys are; a document that speaks for somebody else does not count."""
        try:
            document = await self._fetch(source.issuer.rstrip("/") + DISCOVERY)
        except IdentityServerFailed:
            if source.otherwise is None:
                raise
            return source.otherwise
        address = document.get("jwks_uri")
        if document.get("issuer") != source.issuer or not isinstance(address, str):
            raise IdentityServerFailed("The discovery document is not the issuer's own.")
        if source.issuer.startswith("https://") and not address.startswith("https://"):
            raise IdentityServerFailed("The issuer's keys are not served over TLS.")
        return address

    async def _fetch(self, address: str) -> dict[str, Any]:
        for _ in range(REDIRECTS_MAX + 1):
            answer = await self._http.send("GET", address, headers={"Accept": "application/json"})
            if not answer.has_redirect_location:
                return _object(answer)
            following = answer.url.join(answer.headers["location"])
            if _origin(following) != _origin(answer.url):
                raise IdentityServerFailed("The issuer redirects to another host.")
            address = str(following)
        raise IdentityServerFailed("The issuer redirects too often.")


def _object(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code != httpx.codes.OK:
        raise IdentityServerFailed(f"The issuer answers {answer.status_code} to {answer.url.path}.")
    try:
        document = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IdentityServerFailed("The issuer's answer is not JSON.") from None
    if not isinstance(document, dict):
        raise IdentityServerFailed("The issuer's answer is not a JSON object.")
    return document


def _keys(entries: list[Any]) -> tuple[IssuerKey, ...]:
    read = (_key(entry) for entry in entries if isinstance(entry, dict))
    return tuple(key for key in read if key is not None)


def _key(entry: dict[str, Any]) -> IssuerKey | None:
    """A key that may verify signatures; others in the set are passed over."""
    kind, use = entry.get("kty"), entry.get("use", "sig")
    if use != "sig" or not isinstance(kind, str) or kind not in _CLASSES:
        return None
    try:
        key = _CLASSES[kind].import_key(entry)
        if isinstance(key, RSAKey) and key.public_key.key_size < RSA_BITS_MIN:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    key_id, algorithm = entry.get("kid"), entry.get("alg")
    return IssuerKey(
        key,
        kind,
        key_id if isinstance(key_id, str) else None,
        algorithm if isinstance(algorithm, str) else None,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
