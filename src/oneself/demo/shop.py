"""The shop page: an example of a web shop that uses the service.

    GET  /            finds the visitor's profile by the cookie or creates one; shows its values
    POST /basket      writes a book to a trait and to application data
    GET  /sign-in     redirects to the sign-in page of the service, with the tracker
    GET  /register    redirects to the registration page of the service, with the tracker
    GET  /signed-in   receives the authorization code and exchanges it for tokens
    POST /sign-out    signs out of the shop and of the service

Invariants: tokens and secrets stay in this process, the back end of the shop; the browser never receives
them. The cookie `cds_profile` is forwarded unchanged in both directions.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from importlib import resources
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jinja2
import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.response import Redirect

from oneself.demo.browser import PROFILE_COOKIE
from oneself.demo.stage import BACKEND, ORG, SHOP_NAME, WEB, Stage
from oneself.demo.story import EVERYTHING, SHOP_PERMISSIONS, authorize_path, claims_of, pkce
from oneself.web.csp import content_security_policy

AnyRequest = Request[Any, Any, Any]
SESSION_COOKIE = "shop_session"
BOOKS = {
    "The Endgame": "chess",
    "Roses": "gardens",
    "By Train to Trieste": "travel",
    "A Year of Soups": "cooking",
    "The Night Sky": "astronomy",
    "Knots": "sailing",
}
PAGE_HEADERS = {
    "Content-Security-Policy": content_security_policy(
        style_src="'self'", img_src="data:", base_uri="'none'", frame_ancestors="'none'"
    ),
    # With `no-referrer`, browsers send no `Origin` header with a form.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_files = resources.files("oneself.demo").joinpath("pages")
_pages = jinja2.Environment(
    loader=jinja2.DictLoader({"shop.html": _files.joinpath("shop.html").read_text("utf-8")}),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Session(msgspec.Struct):
    """The session of a browser, in memory. `state` and `verifier`: of a sign-in in progress."""

    state: str = ""
    verifier: str = ""
    id_token: str = ""
    name: str = ""
    notice: str = ""


class Visitor(msgspec.Struct, frozen=True):
    """A browser with its session and its profile. `cookies`: `Set-Cookie` headers to forward."""

    token: str
    session: Session
    tracker: str
    profile: dict[str, Any]
    cookies: tuple[str, ...]


class Shop:
    """The back end of the shop: calls the service and stores sessions."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._http = httpx.AsyncClient(base_url=stage.service, timeout=30.0)
        # The client stores no cookies, because it sends requests for different visitors.
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._sessions: dict[str, Session] = {}
        self._token = ""

    async def visitor(self, request: AnyRequest) -> Visitor:
        """Find the profile by the cookie of the browser, or create a temporary one."""
        tracker = request.cookies.get(PROFILE_COOKIE)
        cookie = {"Cookie": f"{PROFILE_COOKIE}={tracker}"} if tracker else {}
        found = await self.call("POST", "/profiles", json={}, headers=cookie)
        token, session = self._session(request)
        profile = await self.profile(found.json()["profile_id"])
        cookies = tuple(found.headers.get_list("set-cookie"))
        return Visitor(token, session, found.json()["anonymous_profile_tracker"], profile, cookies)

    async def profile(self, profile_id: str) -> dict[str, Any]:
        """Read a profile with all its values."""
        answer = await self.call("GET", f"/profiles/{profile_id}", params=EVERYTHING)
        return dict(answer.json())

    async def put_in_basket(self, profile: dict[str, Any], book: str) -> None:
        """Add a book to the basket, and its subject to the interests, in one request.

        The interests are a trait, which all applications share. The basket is application data of the shop.
        """
        basket = profile.get("application_data", {}).get(BACKEND, {}).get("basket", [])
        interests = profile.get("traits", {}).get("interests", [])
        body = {
            "traits": {"interests": _with(interests, BOOKS[book])},
            "application_data": {BACKEND: {"basket": _with(basket, book)}},
        }
        await self.call("PATCH", f"/profiles/{profile['profile_id']}", json=body)

    async def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        """Exchange an authorization code. Returns the ID token and its claims."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.stage.callback,
            "code_verifier": verifier,
        }
        answer = await self._http.post(f"/t/{ORG}/oauth2/token", data=form, auth=(WEB, self.stage.web_secret))
        answer.raise_for_status()
        token = answer.json()["id_token"]
        return {**claims_of(token), "id_token": token}

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request to the customer data service.

        Fetches a new access token if the current one expired.
        """
        self._token = self._token or await self._fetch_token()
        answer = await self._call(method, path, **more)
        if answer.status_code == 401:
            self._token = await self._fetch_token()
            answer = await self._call(method, path, **more)
        return answer.raise_for_status()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        authorized = {**(headers or {}), "Authorization": f"Bearer {self._token}"}
        return await self._http.request(method, f"{self.stage.api}{path}", headers=authorized, **more)

    async def _fetch_token(self) -> str:
        form = {"grant_type": "client_credentials", "scope": " ".join(SHOP_PERMISSIONS)}
        credentials = (BACKEND, self.stage.backend_secret)
        answer = await self._http.post(f"/t/{ORG}/oauth2/token", data=form, auth=credentials)
        return str(answer.raise_for_status().json()["access_token"])

    def _session(self, request: AnyRequest) -> tuple[str, Session]:
        token = request.cookies.get(SESSION_COOKIE, "")
        if token not in self._sessions:
            token = secrets.token_urlsafe(24)
            self._sessions[token] = Session()
        return token, self._sessions[token]


@get("/")
async def front(request: AnyRequest) -> Response[str]:
    """Show the shop and the visitor's profile."""
    shop: Shop = request.app.state.shop
    visitor = await shop.visitor(request)
    notice, visitor.session.notice = visitor.session.notice, ""
    html = _pages.get_template("shop.html").render(
        shop=SHOP_NAME, books=BOOKS, session=visitor.session, notice=notice, profile=visitor.profile,
        basket=visitor.profile.get("application_data", {}).get(BACKEND, {}).get("basket", []),
        fields=profile_fields(visitor.profile), service=shop.stage.service,
    )  # fmt: skip
    return _with_cookies(Response(html, media_type="text/html; charset=utf-8", headers=PAGE_HEADERS), visitor)


@post("/basket")
async def basket(request: AnyRequest) -> Response[Any]:
    """Put a book in the basket."""
    shop: Shop = request.app.state.shop
    book = str((await request.form()).get("book", ""))
    visitor = await shop.visitor(request)
    if book in BOOKS and _is_own_page(request, shop):
        await shop.put_in_basket(visitor.profile, book)
        visitor.session.notice = f"“{book}” is in your basket, and {BOOKS[book]} among your interests."
    return _with_cookies(Redirect("/", status_code=303), visitor)


@get("/sign-in")
async def sign_in(request: AnyRequest) -> Response[Any]:
    """Redirect to the sign-in page."""
    return await _authorize(request)


@get("/register")
async def register(request: AnyRequest) -> Response[Any]:
    """Redirect to the registration page."""
    return await _authorize(request, prompt="create")


@get("/signed-in")
async def signed_in(request: AnyRequest) -> Response[Any]:
    """Receive the authorization code and sign the user in."""
    shop: Shop = request.app.state.shop
    code, state = (str(request.query_params.get(name, "")) for name in ("code", "state"))
    visitor = await shop.visitor(request)
    session = visitor.session
    if code and session.state and secrets.compare_digest(state, session.state):
        claims = await shop.exchange(code, session.verifier)
        session.id_token, session.state, session.verifier = claims["id_token"], "", ""
        # The profile has the user and the claims since the code was exchanged.
        profile = await shop.profile(visitor.profile["profile_id"])
        attributes = profile.get("identity_attributes", {})
        session.name = attributes.get("givenname", "friend")
        session.notice = f"Welcome, {session.name}. This browser and your account are one profile."
    return _with_cookies(Redirect("/", status_code=303), visitor)


@post("/sign-out")
async def sign_out(request: AnyRequest) -> Response[Any]:
    """Sign the user out of the shop and of the service. The browser keeps its profile."""
    shop: Shop = request.app.state.shop
    visitor = await shop.visitor(request)
    hint, visitor.session.id_token, visitor.session.name = visitor.session.id_token, "", ""
    visitor.session.notice = "You are signed out. What you do here still belongs to your profile."
    query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": f"{shop.stage.shop}/"})
    target = f"{shop.stage.service}/t/{ORG}/oauth2/logout?{query}" if hint else "/"
    return _with_cookies(Redirect(target, status_code=303), visitor)


@get("/shop.css")
async def style() -> Response[bytes]:
    """Return the stylesheet."""
    return Response(_files.joinpath("shop.css").read_bytes(), media_type="text/css; charset=utf-8")


def profile_fields(profile: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return path, value and source of the values of a profile."""
    sources = profile.get("provenance", {})
    values = {
        **{f"identity_attributes.{k}": v for k, v in profile.get("identity_attributes", {}).items()},
        **{f"traits.{k}": v for k, v in profile.get("traits", {}).items()},
        **{
            f"application_data.{app}.{k}": v
            for app, data in profile.get("application_data", {}).items()
            for k, v in data.items()
        },
    }
    return [(path, _text(value), _source(sources.get(path, []))) for path, value in values.items()]


def create_shop(stage: Stage) -> Litestar:
    """Create the ASGI application of the shop."""
    shop = Shop(stage)
    return Litestar(
        route_handlers=[front, basket, sign_in, register, signed_in, sign_out, style],
        state=State({"shop": shop}),
        on_shutdown=[shop.close],
        openapi_config=None,
        logging_config=None,
    )


def serve_shop(stage: Stage, listener: socket.socket, opened: Callable[[], None]) -> None:
    """Serve the shop until Ctrl-C or SIGTERM. Calls `opened` once it accepts requests."""
    config = uvicorn.Config(create_shop(stage), log_level="warning", access_log=False)
    asyncio.run(_Server(config, opened).serve([listener]))


class _Server(uvicorn.Server):
    """Calls `opened` once it accepts requests."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._opened()


async def _authorize(request: AnyRequest, **parameters: str) -> Response[Any]:
    """Redirect the browser to the authorization endpoint, with the tracker."""
    shop: Shop = request.app.state.shop
    visitor = await shop.visitor(request)
    verifier, challenge = pkce()
    visitor.session.state, visitor.session.verifier = secrets.token_urlsafe(16), verifier
    path = authorize_path(
        visitor.session.state, challenge, visitor.tracker, shop.stage.callback, **parameters
    )
    return _with_cookies(Redirect(f"{shop.stage.service}{path}", status_code=303), visitor)


def _with_cookies(response: Response[Any], visitor: Visitor) -> Response[Any]:
    """Set the session cookie, and forward the cookies of the service."""
    response.set_cookie(Cookie(SESSION_COOKIE, value=visitor.token, httponly=True, samesite="lax"))
    for line in visitor.cookies:
        name, _, value = line.partition(";")[0].partition("=")
        response.set_cookie(Cookie(name, value=value, httponly=True, samesite="lax"))
    return response


def _is_own_page(request: AnyRequest, shop: Shop) -> bool:
    """Whether the `Origin` header, if present, is the shop."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin) == urlsplit(shop.stage.shop)


def _with(values: list[str], value: str) -> list[str]:
    return values if value in values else [*values, value]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _source(sources: list[dict[str, str]]) -> str:
    return "; ".join(dict.fromkeys(f"{s['face']} through {s.get('application', '?')}" for s in sources))
