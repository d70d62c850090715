"""Bodies of the REST wires, decoded by hand so that each error has its own sentence.

    content type → size → syntax → limits → outermost type → known fields → types of fields

A body is accepted or rejected as one. In a strict body a field that is null is absent. What is accepted can
be stored: no NUL, no number that PostgreSQL or JSON readers would round or reject.
Source: docs/wire/cds.md §4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
from litestar import Request

from oneself.api.http.errors import INVALID_REQUEST, ErrorCode, WireError, line, wire_error
from oneself.api.http.json_reader import JsonLimits, JsonProblem, check_json, check_keys, parse_json

#: Profiles of large organisations have some tens of kilobytes.
BODY_BYTES_MAX = 1024 * 1024
#: Attributes are at most four levels deep (docs/wire/cds.md §7); this leaves room and spares every stack.
DEPTH_MAX = 32
KEYS_MAX = 10_000
LIMITS = JsonLimits(
    container_level_max=DEPTH_MAX,
    value_level_max=DEPTH_MAX,
    keys_max=KEYS_MAX,
    # What a double holds; the type of an attribute may allow less.
    integer_max=2**1023,
)

AnyRequest: TypeAlias = Request[Any, Any, Any]
Object: TypeAlias = dict[str, Any]


class Body(msgspec.Struct, frozen=True):
    """What a route accepts, and how it words errors."""

    #: What the sentences call the body.
    subject: str
    #: The code of an error.
    code: ErrorCode
    #: A struct that names the fields and their types; None checks nothing.
    fields: type[msgspec.Struct] | None = None
    #: True rejects unknown fields, False ignores them.
    strict: bool = True
    outermost: Literal["object", "array"] = "object"
    shape: Literal["A", "B"] = "A"
    #: One line of text instead of every other error.
    plain_line: str | None = None

    def refusal(self, sentence: str) -> WireError:
        """The error for a body with this problem."""
        if self.plain_line is not None:
            return line(400, self.plain_line)
        return wire_error(self.code, sentence, shape=self.shape)


async def decode_object(request: AnyRequest, body: Body) -> Object:
    """The JSON object in the request, checked against `body`; raises WireError."""
    document: Object = decode(await _read(request), body)
    return document


async def decode_array(request: AnyRequest, body: Body) -> list[Object]:
    """The JSON array of objects in the request, checked against `body`; raises WireError."""
    documents: list[Object] = decode(await _read(request), body)
    return documents


def non_null(document: Object) -> Object:
    """The fields that are not null."""
    return {name: value for name, value in document.items() if value is not None}


def decode(raw: bytes, body: Body) -> Any:
    """Parse `raw` and check it against `body`; raises WireError with the sentence of docs/wire/cds.md §4."""
    document = _parse(raw, body)
    _check_outermost(document, body)
    if body.fields is not None:
        for entry in document if body.outermost == "array" else (document,):
            _check_fields(entry, body, body.fields)
    return document


async def _read(request: AnyRequest) -> bytes:
    _check_media_type(request)
    return await request.body()


def _check_media_type(request: AnyRequest) -> None:
    """JSON in UTF-8, uncompressed. That is the default without `Content-Type`."""
    given, parameters = request.content_type
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if given and given.lower() != "application/json":
        raise wire_error(INVALID_REQUEST, "Content-Type must be application/json.", 415)
    if parameters.get("charset", "utf-8").strip('"').lower() not in ("utf-8", "utf8"):
        raise wire_error(INVALID_REQUEST, "JSON bodies must be encoded in UTF-8.", 415)
    if encoding not in ("", "identity"):
        sentence = "Content-Encoding is not supported; send the body uncompressed."
        raise wire_error(INVALID_REQUEST, sentence, 415, headers={"Accept-Encoding": "identity"})


def _parse(raw: bytes, body: Body) -> Any:
    if not raw.strip():
        raise body.refusal(f"Request body for {body.subject} is empty.")
    try:
        document = parse_json(raw)
        check_keys(raw, check_json(document, LIMITS))
        return document
    except JsonProblem as problem:
        raise body.refusal(_sentence(problem, body)) from None


def _sentence(problem: JsonProblem, body: Body) -> str:
    match problem.code:
        case "syntax":
            return f"Malformed JSON in {body.subject} request body."
        case "truncated":
            return f"Malformed JSON in {body.subject} request body (unexpected end of input)."
        case "surrogate":
            return f"Malformed JSON in {body.subject} request body (unpaired surrogate escape)."
        case _:
            return f"Invalid JSON payload for {body.subject}."


def _check_outermost(document: Any, body: Body) -> None:
    if body.outermost == "object" and not isinstance(document, dict):
        raise body.refusal(f"Invalid JSON type for {body.subject} request body.")
    if body.outermost == "array":
        if not isinstance(document, list):
            raise body.refusal(f"Request body for {body.subject} must be a JSON array.")
        if not all(isinstance(entry, dict) for entry in document):
            raise body.refusal(f"Invalid JSON type for {body.subject} request body.")


def _check_fields(document: Object, body: Body, fields: type[msgspec.Struct]) -> None:
    expected = _expected(fields)
    for name, value in document.items():
        if name not in expected and not body.strict:
            continue
        if name not in expected:
            raise body.refusal(f'Unknown field "{name}" in {body.subject} request body.')
        kind = expected[name]
        if value is not None and not kind.accepts(value):
            expects = f"Expected {kind.word} in {body.subject} request body."
            raise body.refusal(f"Invalid type for field '{name}'. {expects}")
        if kind.entries is not None:
            for entry in [value] if isinstance(value, dict) else value or ():
                _check_fields(entry, body, kind.entries)


class _Kind(msgspec.Struct, frozen=True):
    """What a field accepts: in words, as a check, and the fields of an object or of those in a list."""

    word: str
    accepts: Callable[[Any], bool]
    entries: type[msgspec.Struct] | None = None


_KINDS = {
    str: _Kind("string", lambda value: isinstance(value, str)),
    bool: _Kind("boolean", lambda value: isinstance(value, bool)),
    int: _Kind("integer", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    dict: _Kind("object", lambda value: isinstance(value, dict)),
}


@functools.cache
def _expected(fields: type[msgspec.Struct]) -> dict[str, _Kind]:
    """Field → what it accepts, from the annotations of the struct, which are all `… | None`."""
    hints = get_type_hints(fields)
    return {item.encode_name: _kind(get_args(hints[item.name])[0]) for item in msgspec.structs.fields(fields)}


def _kind(hint: Any) -> _Kind:
    if get_origin(hint) is not list and isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return msgspec.structs.replace(_KINDS[dict], entries=hint)
    if get_origin(hint) is not list:
        return _KINDS[get_origin(hint) or hint]
    (entry,) = get_args(hint)
    is_struct = issubclass(entry, msgspec.Struct)
    of = _KINDS[dict] if is_struct else _KINDS[entry]
    return _Kind(
        f"array of {of.word}s",
        lambda value: isinstance(value, list) and all(map(of.accepts, value)),
        entry if is_struct else None,
    )
