"""How routes describe themselves in the published API description.

Bodies and parameters are decoded by hand, so a route names its document and its error responses. Both come
from the structs that the code uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType

from oneself.api.http.errors import ErrorDocument, FailureDocument, SchemaErrorDocument
from oneself.api.http.request_options import ENTITY_TAGS

#: Statuses of every route; a route names its own.
COMMON = (500, 503)
DESCRIPTIONS = {
    400: "The request is invalid; `description` says where.",
    401: "The token is missing, expired, or not of this organisation.",
    403: "The token lacks the permission.",
    404: "It does not exist in this organisation.",
    405: "Not possible for identity attributes.",
    409: "It exists already, or its current state forbids the change.",
    410: "The cursor is too old; what follows it was deleted.",
    412: "`If-Match` names another version.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not JSON in UTF-8, or compressed.",
    422: "The `Idempotency-Key` was used for another request.",
    500: "Internal error.",
    503: "Try again after `Retry-After` seconds; nothing was changed.",
}
#: Statuses of every route with a body.
BODY = (413, 415)
TEXT = Schema(type=OpenAPIType.STRING)
Shape = Literal["A", "B"]


def error_responses(*statuses: int, shape: Shape = "A") -> Mapping[int, ResponseSpec]:
    """The error responses of a route. `shape` B applies to 400 and 405, everything else is shape A."""
    return {status: _refusal(status, shape) for status in (*statuses, *COMMON)}


def _refusal(status: int, shape: Shape) -> ResponseSpec:
    document: Any = FailureDocument if status in COMMON else ErrorDocument
    if shape == "B" and status in (400, 405):
        document = ErrorDocument | SchemaErrorDocument
    return ResponseSpec(document, description=DESCRIPTIONS[status], generate_examples=False)


@dataclass
class Described(Operation):
    """An operation. The class attributes are what its route adds to what the framework finds out."""

    takes: ClassVar[Any] = None
    required: ClassVar[tuple[str, ...]] = ()
    headers: ClassVar[tuple[str, ...]] = ()
    plain: ClassVar[tuple[int, ...]] = ()
    versioned: ClassVar[bool] = False
    also_found: ClassVar[str] = ""

    def __post_init__(self) -> None:
        given = [_simplified(parameter) for parameter in self.parameters or []]
        self.parameters = [*given, *map(_header, self.headers)]
        self.summary = _first_sentence(self.description or "")
        if self.takes is not None:
            media = OpenAPIMediaType(schema=_body(self.takes, self.required))
            self.request_body = RequestBody(content={MediaType.JSON.value: media}, required=True)
        self._describe_answers()

    def _describe_answers(self) -> None:
        for status, response in _responses(self):
            if int(status) in self.plain:
                line = OpenAPIMediaType(schema=TEXT)
                response.content = {**(response.content or {}), MediaType.TEXT.value: line}
            if self.versioned and status in ("200", "201"):
                response.headers = {"ETag": _tag("The version of the unified profile, for `If-Match`.")}
        if self.also_found and self.responses is not None:
            made = dict(_responses(self))["201"]
            found = OpenAPIResponse(self.also_found, headers=made.headers, content=made.content)
            self.responses["200"] = found


def _first_sentence(text: str) -> str:
    """The first sentence of a docstring, however its lines are broken, without the full stop."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".")


def described(**attributes: Any) -> type[Described]:
    """An operation class with these attributes; see `Described`."""
    return type("DescribedRoute", (Described,), attributes)


def _responses(operation: Operation) -> Iterable[tuple[str, OpenAPIResponse]]:
    for status, response in (operation.responses or {}).items():
        if isinstance(response, OpenAPIResponse):
            yield status, response


def _tag(description: str) -> OpenAPIHeader:
    return OpenAPIHeader(schema=TEXT, description=description)


_HEADERS = {
    "If-Match": (ENTITY_TAGS, "Refuse with 412 unless this is still the version, as an earlier `ETag` said."),
    "Idempotency-Key": (
        r"^[!-~]{1,255}$",
        "1 to 255 printable characters; a repeat with the same key gets the first answer.",
    ),
}


def _header(name: str) -> Parameter:
    pattern, sentence = _HEADERS[name]
    schema = Schema(type=OpenAPIType.STRING, pattern=pattern)
    return Parameter(name=name, param_in="header", schema=schema, required=False, description=sentence)


def _simplified(parameter: Any) -> Any:
    """A query parameter is present or absent, never null. The description of the route takes precedence."""
    schema = getattr(parameter, "schema", None)
    if parameter.param_in == "query" and isinstance(schema, Schema) and schema.one_of:
        (kind,) = (one for one in schema.one_of if getattr(one, "type", None) != OpenAPIType.NULL)
        schema.one_of = None
        schema.type = schema.type or getattr(kind, "type", None)
        schema.items = schema.items or getattr(kind, "items", None)
        schema.description = None
    return parameter


def _body(document: Any, required: tuple[str, ...]) -> Any:
    """The JSON schema of a document, without references.

    `required`: fields that later rules require and decoding does not.
    """
    (schema,), parts = msgspec.json.schema_components([document], ref_template="{name}")
    resolved = _resolved(schema, parts)
    entry = resolved.get("items", resolved)
    for name in required:
        entry["properties"][name] = entry["properties"][name]["anyOf"][0]
    entry["required"] = list(required)
    return resolved


def _resolved(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(entry, parts) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(parts[schema["$ref"]], parts)
    return {key: _resolved(value, parts) for key, value in schema.items()}
