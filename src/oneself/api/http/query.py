"""Query parameters that several wires decode in the same way."""

import re
from typing import Annotated

from litestar.params import QueryParameter

from oneself.api.http.errors import INVALID_REQUEST, wire_error
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.timestamps import instant_of
from oneself.core.units import MILLISECOND_US

#: The description of a switch in the query.
ONLY_TRUE = "Only `true` has an effect."

#: The description of the parameter that names a view.
VIEW_PARAMETER = (
    "`own`, `proven` or `all`: what the owner owns, what is proven, or what the business believes. "
    "By default the `default_view` of the dataset; `all` needs `profile_view_all`. A person reads `own`."
)

#: The parameter that names the view.
ViewParameter = Annotated[str | None, QueryParameter(name="view", description=VIEW_PARAMETER)]
#: The parameter that names the view of what only `own` shows.
OwnViewParameter = Annotated[
    str | None, QueryParameter(name="view", description="`own`, the default; another view is 403.")
]
#: The parameter that requests consent categories.
AskedCategories = Annotated[
    list[str] | None,
    QueryParameter(
        name="consentCategoryId",
        description="Requested consent categories; repeatable, or a comma-separated list.",
    ),
]
#: The parameters that request application data, and that of some applications.
IncludeApplicationData = Annotated[
    str | None, QueryParameter(name="includeApplicationData", description=ONLY_TRUE)
]
AskedApplications = Annotated[
    str | None,
    QueryParameter(
        name="application_identifier",
        description="Comma-separated list of applications, or `*`; for system applications.",
    ),
]
#: The parameter that requests where values come from.
IncludeProvenance = Annotated[str | None, QueryParameter(name="provenance", description=ONLY_TRUE)]

_EPOCH_MS = re.compile(r"[0-9]{1,15}")


def query_instant(field: str, text: str) -> int:
    """The instant in µs since 1970 that a parameter names; raises WireError."""
    if _EPOCH_MS.fullmatch(text):
        return int(text) * MILLISECOND_US
    # The `+` of an offset is a blank if the client did not URL-encode it.
    found = instant_of(text.replace(" ", "+") if "T" in text else text)
    if found is None:
        raise wire_error(INVALID_REQUEST, f"{field} must be an RFC 3339 instant or milliseconds since 1970.")
    return found


def asked_categories(texts: list[str] | None) -> frozenset[str]:
    """The consent categories that a request names."""
    return query_list(",".join(texts or ())) or frozenset()


def query_flag(text: str | None) -> bool:
    """True for `true` in any case."""
    return text is not None and text.lower() == "true"


def query_switch(request: AnyRequest, name: str) -> bool:
    """Whether a switch of a request is on, of one that keeps something from being done.

    Raises WireError for any other value than `true` and `false`, and for several.
    """
    texts = [text.lower() for text in request.query_params.getall(name, [])]
    if len(texts) > 1 or not {*texts} <= {"true", "false"}:
        raise wire_error(INVALID_REQUEST, f"{name} must be true or false, once.")
    return texts == ["true"]


def query_is_off(text: str | None) -> bool:
    """True for `false` in any case."""
    return text is not None and text.lower() == "false"


def query_list(text: str | None) -> frozenset[str] | None:
    """The names in a comma-separated list; None means all."""
    names = frozenset(name.strip() for name in (text or "").split(",") if name.strip())
    return None if not names or "*" in names else names
