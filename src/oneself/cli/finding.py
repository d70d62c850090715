"""The result of one check of `oneself doctor`."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """The result of one check. `advice`: how to fix the problem, printed unless the state is `good`."""

    subject: str
    state: Literal["good", "warning", "bad"]
    sentence: str
    advice: str = ""
