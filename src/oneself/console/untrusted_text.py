"""Values from outside on pages: nobody outside changes how the rest of a page reads.

    invisible and direction marks   shown by their code, such as ⟨U+202E⟩
    text written right to left      isolated, so that it orders nothing around it

Invariants: every expression of a template passes `fenced`, every rendered page `without_tricks`, so no
template can forget it. What a field contains stays as it is: it is sent back.
"""

from __future__ import annotations

import re
from typing import Any

#: Around a value that has letters written right to left, until the page is complete. No text may have them.
_BEGIN, _END = "\ufdd0", "\ufdd1"
_FENCES = re.compile(f"[{_BEGIN}{_END}]")
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001eeff]"
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINERS = "\u200c\u200d"
#: What joiners join: letters from Hebrew to Sinhala, and pictures.
_JOINED = re.compile("[\u0590-\u0dff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]")
#: Fields, elements that contain text alone, and tags; everything else of a page is text.
_MARKUP = re.compile(r"<(title|option|text|textarea)\b.*?</\1>|<[^>]*>", re.DOTALL)
_FIELD = re.compile(r'<textarea\b.*?</textarea>|\svalue="[^"]*"', re.DOTALL)


def fenced(value: Any) -> Any:
    """A value of a template, marked where it ends if it has letters written right to left."""
    if not isinstance(value, str) or hasattr(value, "__html__") or value.isascii():
        return value
    text = _FENCES.sub("\ufffd", value)
    return f"{_BEGIN}{text}{_END}" if _RIGHT_TO_LEFT.search(text) else text


def without_tricks(page: str) -> str:
    """A rendered page whose values order and hide nothing around them."""
    if not _FENCES.search(page) and not _INVISIBLE.search(page):
        return page
    parts, end = [], 0
    for match in _MARKUP.finditer(page):
        parts += [_text(page[end : match.start()]), _markup(match[0])]
        end = match.end()
    return "".join([*parts, _text(page[end:])])


def _text(text: str) -> str:
    rendered = _INVISIBLE.sub(lambda match: _code_of(match, '<span class="mark">{}</span>'), text)
    return rendered.replace(_BEGIN, "<bdi>").replace(_END, "</bdi>")


def _markup(markup: str) -> str:
    """A tag, or an element of text alone: no tags can be in it. Fields in it stay as they are."""
    parts, end = [], 0
    for field in _FIELD.finditer(markup):
        parts += [_plain(markup[end : field.start()]), _FENCES.sub("", field[0])]
        end = field.end()
    return "".join([*parts, _plain(markup[end:])])


def _plain(text: str) -> str:
    rendered = _INVISIBLE.sub(lambda match: _code_of(match, "{}"), text)
    return rendered.replace(_BEGIN, "\u2068").replace(_END, "\u2069")


def _code_of(match: re.Match[str], form: str) -> str:
    """The code of an invisible character; a joiner of letters or emoji stays."""
    before = match.string[: match.start()][-1:]
    if match[0] in _JOINERS and _JOINED.match(before):
        return match[0]
    return form.format(f"⟨U+{ord(match[0]):04X}⟩")
