"""Query parameters that several wires decode in the same way."""

#: The description of a switch in the query.
ONLY_TRUE = "Only `true` has an effect."


#: The description of the parameter that names a view.
VIEW_PARAMETER = (
    "`own`, `proven` or `all`: what the owner owns, what is proven, or what the business believes. "
    "By default the `default_view` of the dataset; `all` needs `profile_view_all`. A person reads `own`."
)


def query_flag(text: str | None) -> bool:
    """True for `true` in any case."""
    return text is not None and text.lower() == "true"


def query_list(text: str | None) -> frozenset[str] | None:
    """The names in a comma-separated list; None means all."""
    names = frozenset(name.strip() for name in (text or "").split(",") if name.strip())
    return None if not names or "*" in names else names
