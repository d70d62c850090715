"""The public keys of external issuers, cached (RFC 7517, OpenID Connect Discovery 1.0).

    first token, unknown key id, expired keys ─▶ one fetch at a time, at most once per RETRY_S ─▶ cached
    issuer does not answer                 ─▶ the old keys stay valid until STALE_KEYS_MAX_S

Invariants: a token can cause a fetch only from a URL that an administrator configured, at most once per
RETRY_S. A response is limited in size and time, and comes from the configured host.
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
from oneself.adapters.outgoing import OutgoingPolicy
from oneself.errors import IdentityServerFailed

_logger = structlog.get_logger("oneself.issuer_keys")

DISCOVERY = "/.well-known/openid-configuration"
#: Keys are fetched again after this time, so a withdrawn key is accepted no longer.
KEYS_LIFE_S = 3600.0
#: Cached keys of an issuer that does not answer are valid this long.
STALE_KEYS_MAX_S = 24 * 3600.0
#: Minimum time between two fetches from one issuer. Short enough to find rotated keys quickly.
RETRY_S = 5.0
TIMEOUT_S = 5.0
FETCH_TIMEOUT_S = 8.0
RESPONSE_BYTES_MAX = 512 * 1024
REDIRECTS_MAX = 3
KEYS_MAX = 50
SOURCES_MAX = 1_000
#: NIST SP 800-131A disallows shorter keys.
RSA_BITS_MIN = 2048
#: Key type by signature algorithm. All other algorithms are rejected, including `none` (RFC 8725 §3.1).
KEY_TYPE_OF_ALGORITHM = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
_CLASSES: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class KeySource(msgspec.Struct, frozen=True):
    """Where to fetch keys: `jwks_uri`, else the URL in the discovery document, else `fallback_uri`."""

    issuer: str
    jwks_uri: str | None = None
    fallback_uri: str | None = None


class IssuerKey(msgspec.Struct, frozen=True):
    """A public key with its type, id and algorithm from the key set."""

    key: Any
    key_type: str
    key_id: str | None = None
    algorithm: str | None = None


class _SourceKeys:
    """The cached keys of one source. Times are monotonic."""

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
    """Finds and caches the public keys of issuers."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        policy: OutgoingPolicy | None = None,
        retry_s: float = RETRY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = LimitedHttpClient(
            "The issuer",
            timeout_s=TIMEOUT_S,
            response_bytes_max=RESPONSE_BYTES_MAX,
            policy=policy,
            transport=transport,
        )
        self._retry_s = retry_s
        self._monotonic = monotonic
        self._cached: dict[KeySource, _SourceKeys] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def find(self, source: KeySource, key_id: str | None, algorithm: str) -> list[Any]:
        """Return the keys that may have signed a token with this `kid` and `alg`.

        The list is empty if the issuer does not answer and its cached keys are too old.
        """
        cached = self._source_keys(source)
        if cached.needs_refresh(key_id, self._monotonic(), self._retry_s):
            async with cached.lock:
                if cached.needs_refresh(key_id, self._monotonic(), self._retry_s):
                    await self._refresh(source, cached)
        if self._monotonic() - cached.fetched_at > STALE_KEYS_MAX_S:
            return []
        key_type = KEY_TYPE_OF_ALGORITHM.get(algorithm)
        return [
            key.key
            for key in cached.keys
            if key.key_type == key_type
            and (key_id is None or key.key_id in (None, key_id))
            and key.algorithm in (None, algorithm)
        ]

    def _source_keys(self, source: KeySource) -> _SourceKeys:
        if source not in self._cached and len(self._cached) >= SOURCES_MAX:
            del self._cached[next(iter(self._cached))]
        return self._cached.setdefault(source, _SourceKeys())

    async def _refresh(self, source: KeySource, cached: _SourceKeys) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                cached.keys = await self._read(source)
                cached.fetched_at = self._monotonic()
        except (IdentityServerFailed, TimeoutError) as error:
            _logger.warning("issuer_keys_not_read", issuer=source.issuer, cause=str(error) or "timeout")
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
        """The `jwks_uri` of the discovery document, which must name this issuer."""
        try:
            document = await self._fetch(source.issuer.rstrip("/") + DISCOVERY)
        except IdentityServerFailed:
            if source.fallback_uri is None:
                raise
            return source.fallback_uri
        address = document.get("jwks_uri")
        if document.get("issuer") != source.issuer or not isinstance(address, str):
            raise IdentityServerFailed("The discovery document names another issuer or has no jwks_uri.")
        if source.issuer.startswith("https://") and not address.startswith("https://"):
            raise IdentityServerFailed("The issuer's jwks_uri does not begin with https://.")
        return address

    async def _fetch(self, address: str) -> dict[str, Any]:
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._http.send("GET", address, headers={"Accept": "application/json"})
            if not response.has_redirect_location:
                return _object(response)
            target = response.url.join(response.headers["location"])
            if _origin(target) != _origin(response.url):
                raise IdentityServerFailed("The issuer redirects to another host.")
            address = str(target)
        raise IdentityServerFailed(f"The issuer redirects more than {REDIRECTS_MAX} times.")


def _object(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != httpx.codes.OK:
        raise IdentityServerFailed(f"The issuer returned {response.status_code} for {response.url.path}.")
    try:
        document = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IdentityServerFailed("The issuer's response is not JSON.") from None
    if not isinstance(document, dict):
        raise IdentityServerFailed("The issuer's response is not a JSON object.")
    return document


def _keys(entries: list[Any]) -> tuple[IssuerKey, ...]:
    keys = (_key(entry) for entry in entries if isinstance(entry, dict))
    return tuple(key for key in keys if key is not None)


def _key(entry: dict[str, Any]) -> IssuerKey | None:
    """The signature key in an entry of a key set; None for any other key."""
    key_type, use = entry.get("kty"), entry.get("use", "sig")
    if use != "sig" or not isinstance(key_type, str) or key_type not in _CLASSES:
        return None
    try:
        key = _CLASSES[key_type].import_key(entry)
        if isinstance(key, RSAKey) and key.public_key.key_size < RSA_BITS_MIN:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    key_id, algorithm = entry.get("kid"), entry.get("alg")
    return IssuerKey(
        key,
        key_type,
        key_id if isinstance(key_id, str) else None,
        algorithm if isinstance(algorithm, str) else None,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
