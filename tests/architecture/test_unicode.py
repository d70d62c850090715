"""Text from outside is normalised in one module."""

from __future__ import annotations

from .tree import imports, modules


def test_only_core_text_normalises_unicode() -> None:
    """`core/text.py` checks the length first; `unicodedata.normalize` takes seconds for long text."""
    assert [name for name, tree in modules().items() if "unicodedata" in imports(tree)] == ["core/text.py"]
