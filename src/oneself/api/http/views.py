"""The view of a request: `?view=own|proven|all`, else the dataset's default.

A person reads `own`. Source: docs/concepts/trust.md, "Views".
"""

from __future__ import annotations

from typing import Annotated, get_args

from litestar.params import QueryParameter

from oneself.api.http.errors import INVALID_REQUEST, forbidden, wire_error
from oneself.api.http.guard import RequestContext
from oneself.api.http.json_body import AnyRequest
from oneself.core.identity_graph.joins import View

VIEW_ALL = "internal_cds_profile_view_all"
#: The parameter, for the description of a route; its handler asks `requested_view`.
ViewName = Annotated[
    str | None,
    QueryParameter(
        name="view",
        description="`own`, `proven` or `all`. By default the dataset's `default_view`; to a person, `own`. "
        f"`all` needs `{VIEW_ALL}`.",
    ),
]
_VIEWS: dict[str, View] = {view: view for view in get_args(View)}


def requested_view(call: RequestContext, request: AnyRequest) -> View:
    """The view that a request reads.

    400 for a view that does not exist, 403 for one that the caller may not name. A default that is wider than
    the caller may read is narrowed.
    """
    name = request.query_params.get("view")
    if name is not None and name not in _VIEWS:
        raise wire_error(INVALID_REQUEST, f"view is one of: {', '.join(_VIEWS)}.")
    named = None if name is None else _VIEWS[name]
    if not call.caller.reach.is_everything:
        if named not in (None, "own"):
            raise forbidden()
        return "own"
    may_read_all = call.caller.holds(VIEW_ALL)
    if named == "all" and not may_read_all:
        raise forbidden()
    view = named or call.config.dataset.default_view
    return "proven" if view == "all" and not may_read_all else view
