"""How many random histories a property is tested with.

The embedded PostgreSQL gets all of them. Another server gets a quarter: what can differ there are statements,
and a few histories execute every statement.
"""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """The number of examples on the server of this run, of `count` on the embedded one."""
    return max(1, count // 4) if os.environ.get("ONESELF_TEST_DATABASE_URL") else count
