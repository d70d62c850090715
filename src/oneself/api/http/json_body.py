"""Bodies of the CDS wire, decoded by hand so that every refusal has the wire's own sentence (wire/cds §4).

    content type → size → syntax → limits → outermost type → known fields → types of fields

A body is either accepted whole or refused whole. JSON null stands for "absent" in a strict field. What is
accepted can be stored: no NUL, no number that PostgreSQL or JSON readers would round silently or refuse.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
from litestar import Request

from oneself.api.http.errors import UNPROCESSABLE, WireError, line, wire_error

#: A profile of the largest organisations we know of is some tens of kilobytes.
BODY_BYTES_MAX = 1024 * 1024
#: Attributes are at most four levels deep (wire/cds §7); this leaves room and spares every stack.
DEPTH_MAX = 32
KEYS_MAX = 10_000
#: What a double can hold; whether it is too much is for the attribute's type to say.
INTEGER_MAX = 2**1023

AnyRequest: TypeAlias = Request[Any, Any, Any]
Object: TypeAlias = dict[str, Any]

# Every string of a JSON text, with the colon behind it if it is a key; possessive, so linear in time.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+(:?)', re.DOTALL)
# msgspec has one exception for all syntax errors and tells a cut-off text apart by this sentence only.
_CUT_OFF = "Input data was truncated"


class Body(msgspec.Struct, frozen=True):
    """What a route expects: the subject named in sentences, the code of a refusal, the outermost type.

    `fields`: a struct that names the fields and their types; None where nothing is checked.
    `strict`: other fields are refused, not ignored.
    """

    subject: str
    code: str
    fields: type[msgspec.Struct] | None = None
    strict: bool = True
    outermost: Literal["object", "array"] = "object"
    shape: Literal["A", "B"] = "A"
    plain_line: str | None = None

    def refusal(self, sentence: str) -> WireError:
        """The error that a body with this problem gets."""
        if self.plain_line is not None:
            return line(400, self.plain_line)
        return wire_error(self.code, sentence, shape=self.shape)


async def decode_object(request: AnyRequest, body: Body) -> Object:
    """The JSON object in the request, as `body` wants it; raises WireError."""
    document: Object = decode(await _read(request), body)
    return document


async def decode_array(request: AnyRequest, body: Body) -> list[Object]:
    """The JSON array of objects in the request, as `body` wants it; raises WireError."""
    documents: list[Object] = decode(await _read(request), body)
    return documents


def non_null(document: Object) -> Object:
    """The fields that were given; null is none."""
    return {name: value for name, value in document.items() if value is not None}


def decode(raw: bytes, body: Body) -> Any:
    """Parse `raw` and check it against `body`; raises WireError with the sentence of wire/cds §4."""
    document = _parse(raw, body)
    if not _storable(document, raw):
        raise body.refusal(f"Invalid JSON payload for {body.subject}.")
    _check_outermost(document, body)
    if body.fields is not None:
        for entry in document if body.outermost == "array" else (document,):
            _check_fields(entry, body, body.fields)
    return document


async def _read(request: AnyRequest) -> bytes:
    _check_media_type(request)
    return await request.body()


def _check_media_type(request: AnyRequest) -> None:
    """JSON in UTF-8, uncompressed; a request without `Content-Type` is taken for that."""
    given, parameters = request.content_type
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if given and given.lower() != "application/json":
        raise wire_error(UNPROCESSABLE, "Content-Type must be application/json.", 415)
    if parameters.get("charset", "utf-8").strip('"').lower() not in ("utf-8", "utf8"):
        raise wire_error(UNPROCESSABLE, "JSON bodies must be encoded in UTF-8.", 415)
    if encoding not in ("", "identity"):
        sentence = "Content-Encoding is not supported; send the body uncompressed."
        raise wire_error(UNPROCESSABLE, sentence, 415, headers={"Accept-Encoding": "identity"})


def _parse(raw: bytes, body: Body) -> Any:
    if not raw.strip():
        raise body.refusal(f"Request body for {body.subject} is empty.")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.ValidationError, RecursionError):  # absurd numbers, absurd nesting
        raise body.refusal(f"Invalid JSON payload for {body.subject}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        cut_off = " (unexpected end of input)" if str(error) == _CUT_OFF else ""
        raise body.refusal(f"Malformed JSON in {body.subject} request body{cut_off}.") from None


def _storable(document: Any, raw: bytes) -> bool:
    """Within the limits of this module, without NUL and without a key twice in one object."""
    level, keys = [document], 0
    for _ in range(DEPTH_MAX + 1):
        if not level:
            return keys == _STRINGS.findall(raw).count(b":")
        keys += sum(len(value) for value in level if isinstance(value, dict))
        if keys > KEYS_MAX or not all(map(_storable_alone, level)):
            return False
        level = [child for value in level for child in _children(value)]
    return False


def _storable_alone(value: Any) -> bool:
    match value:
        case str():
            return "\x00" not in value
        case int():
            return -INTEGER_MAX <= value <= INTEGER_MAX
        case dict():
            return not any("\x00" in key for key in value)
        case _:
            return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


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
            for entry in value or ():
                _check_fields(entry, body, kind.entries)


class _Kind(msgspec.Struct, frozen=True):
    """What a field takes: in words, as a check, and the fields of its entries if it is a list of objects."""

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
    """Field → what it takes, read from the struct's annotations; all of them are `… | None`."""
    return {name: _kind(get_args(hint)[0]) for name, hint in get_type_hints(fields).items()}


def _kind(hint: Any) -> _Kind:
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
