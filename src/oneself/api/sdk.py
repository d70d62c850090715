"""The scripts of the web SDK: `/sdk/{name}`, for pages of any origin."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

from oneself.web.assets import immutable, revalidated, version_of
from oneself.web.sdk import FILES, find_file

#: Pages of other sites load the scripts, and check their digest.
HEADERS = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


@get("/sdk/{name:str}", include_in_schema=False)
async def sdk_file(request: Request[Any, Any, Any]) -> Response[bytes]:
    """A file of the SDK. With its version in the address, browsers store it for a year."""
    name = request.path_params["name"]
    content = find_file(name)
    if content is None:
        raise NotFoundException
    is_current = request.query_params.get("v") == version_of(content)
    answer = (immutable if is_current else revalidated)(request, content, FILES[name])
    answer.headers.update(HEADERS)
    return answer
