"""Pages of the console: templates, their security headers, static files.

Invariants: a page loads scripts, styles and pictures from this service alone, and none is inline. No page is
cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response

from oneself.console import application_words, formats, identity_words, profile_words, words
from oneself.console.roles import NAMES, OPTIONS
from oneself.console.untrusted_text import fenced, without_tricks
from oneself.web.assets import immutable, version_of
from oneself.web.csp import page_headers, scripted_policy
from oneself.web.forms import AnyRequest

MEDIA_TYPES = {
    "tabler.min.css": "text/css",
    "console.css": "text/css",
    "htmx.min.js": "text/javascript",
    "theme.js": "text/javascript",
    "console.js": "text/javascript",
}
_environment = Environment(
    loader=PackageLoader("oneself.console"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
    finalize=fenced,
)
_environment.globals.update(
    name_of=words.name_of,
    scopes=words.SCOPES,
    built_in=words.BUILT_IN,
    built_in_words=words.BUILT_IN_WORDS,
    value_types=words.VALUE_TYPES,
    merge_strategies=words.MERGE_STRATEGIES,
    mutabilities=words.MUTABILITIES,
    role_names=NAMES,
    role_options=OPTIONS,
    views=profile_words.VIEWS,
    when=formats.when,
    iso=formats.iso,
    application_kinds=application_words.KINDS,
    refusal_words=profile_words.REFUSALS,
    change_types=words.CHANGE_TYPES,
    dataset_settings=identity_words.SETTINGS,
    dataset_choices=identity_words.CHOICES,
    type_switches=identity_words.TYPE_SWITCHES,
    fixed_switches=identity_words.FIXED_SWITCHES,
    channels=identity_words.CHANNELS,
)
_HEADERS = {
    **page_headers(scripted_policy(form_action="'self'")),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def html(
    template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> Response[Any]:
    """Render a page, or a part of one."""
    return Response(
        without_tricks(_environment.get_template(template).render(static=static_url, **values)),
        status_code=status,
        media_type="text/html",
        headers={**_HEADERS, **(headers or {})},
    )


def notice(
    heading: str,
    sentence: str,
    *,
    status: int,
    link: tuple[str, str] = ("/console/", "Go to the console"),
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    """Render a page with one message outside an organisation. `link`: URL and text."""
    values = {"heading": heading, "sentence": sentence, "link": link[0], "link_text": link[1]}
    return html("notice.html", status=status, headers=headers, **values)


@cache
def static_content(name: str) -> bytes:
    """The content of a static file of the console."""
    return resources.files("oneself.console").joinpath("static", name).read_bytes()


@cache
def static_url(name: str) -> str:
    """The URL of a static file, which contains its version."""
    return f"/console/static/{name}?v={version_of(static_content(name))}"


def static_response(request: AnyRequest, name: str) -> Response[bytes] | None:
    """A static file; None if there is none of this name."""
    return immutable(request, static_content(name), MEDIA_TYPES[name]) if name in MEDIA_TYPES else None
