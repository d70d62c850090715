"""Commands that take minutes show on a terminal for how long they have been at work; nothing elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from oneself.cli import progress_bar


@pytest.mark.parametrize("is_terminal", [True, False])
def test_elapsed_time_shows_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    written = StringIO()
    monkeypatch.setattr(progress_bar, "err", Console(file=written, force_terminal=is_terminal))
    with progress_bar.elapsed_time("Deciding"):
        pass
    assert ("Deciding" in written.getvalue()) is is_terminal
    assert ("0:00:00" in written.getvalue()) is is_terminal
