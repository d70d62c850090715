"""The scripts of the web SDK, as `tools/build-sdk` puts them into the package.

A script has its version in the query of its address, so that browsers store it for a year, and a digest with
which a page makes sure that it gets this script (subresource integrity).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from functools import cache

import msgspec

from oneself.web.assets import static_file, version_of

#: Name → media type.
FILES = {
    "oneself.js": "text/javascript",
    "oneself.js.map": "application/json",
}
SCRIPTS = ("oneself.js",)
#: The calls that wait in a queue until the script is loaded. An ad blocker may stop it: the queue is short.
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

    @property
    def path(self) -> str:
        """Where the service serves it."""
        return f"/sdk/{self.name}?v={self.version}"


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
    address = html.escape(url + script.path)
    return f'<script async src="{address}" integrity="{script.integrity}" crossorigin="anonymous"></script>'


def snippet(script: Script, url: str, org: str | None, dataset: str) -> str:
    """What a page has in its head: a queue for calls before the script, the first call, and the script."""
    names = ", ".join(map(_quoted, CALLS))
    options = f"{{ url: {_quoted(f'{url}/t/{org}' if org else url)}, dataset: {_quoted(dataset)}"
    return f"""<script>
window.oneself = window.oneself || {{ q: [] }};
[{names}].forEach(function (name) {{
  oneself[name] = oneself[name] || function () {{
    oneself.q.length < {CALLS_MAX} && oneself.q.push([name, arguments]);
  }};
}});
oneself.init({options}, pages: "auto" }});
</script>
{script_tag(script, url)}
"""


def _quoted(text: str) -> str:
    """A string of JavaScript that ends no element of a page."""
    return json.dumps(text).replace("<", "\\u003c")


def _script(name: str, content: bytes) -> Script:
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    return Script(name, f"sha384-{digest}", version_of(content), len(gzip.compress(content, mtime=0)))
