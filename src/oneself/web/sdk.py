"""The scripts of the web SDK, as `tools/build-sdk` puts them into the package.

A script has its version in the query of its address, so that browsers store it for a year, and a digest with which a
page makes sure that it gets this script (subresource integrity).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from functools import cache

import msgspec

from oneself.web.assets import static_file, version_of

#: Name → media type.
FILES = {
    "oneself.js": "text/javascript; charset=utf-8",
    "oneself.js.map": "application/json",
}
SCRIPTS = ("oneself.js",)
#: The calls that wait in a queue until the script is loaded. An ad blocker may keep it away: the queue is short.
CALLS = (
    "init", "track", "page", "identify", "setAttributes", "consent", "signIn", "logout", "on",
)  # fmt: skip
CALLS_MAX = 100


class Script(msgspec.Struct, frozen=True):
    """A script of the SDK."""

    name: str
    #: The value of `integrity`.
    integrity: str
    version: str
    #: In bytes, compressed as the service sends it.
    size: int


def find_file(name: str) -> bytes | None:
    """The content of a file; None if there is no such file, or the SDK was not built."""
    if name not in FILES:
        return None
    try:
        return static_file("sdk", name)
    except FileNotFoundError:
        return None


@cache
def find_scripts() -> tuple[Script, ...]:
    """Every script; none if the SDK was not built."""
    found = ((name, find_file(name)) for name in SCRIPTS)
    return tuple(_script(name, content) for name, content in found if content is not None)


def script_tag(script: Script, url: str) -> str:
    """The element that loads a script. `url`: the address of the service."""
    address = html.escape(f"{url}/sdk/{script.name}?v={script.version}")
    return f'<script async src="{address}" integrity="{script.integrity}" crossorigin="anonymous"></script>'


def snippet(script: Script, url: str, org: str, dataset: str) -> str:
    """What a page has in its head: a queue for the calls that come before the script, the first calls, the script."""
    names = ", ".join(f'"{name}"' for name in CALLS)
    options = f'{{ url: "{url}/t/{org}", dataset: "{dataset}", pages: "auto" }}'
    return f"""<script>
window.oneself = window.oneself || {{ q: [] }};
[{names}].forEach(function (name) {{
  oneself[name] = oneself[name] || function () {{ oneself.q.length < {CALLS_MAX} && oneself.q.push([name, arguments]); }};
}});
oneself.init({options});
</script>
{script_tag(script, url)}
"""


def _script(name: str, content: bytes) -> Script:
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    return Script(name, f"sha384-{digest}", version_of(content), len(gzip.compress(content, mtime=0)))
