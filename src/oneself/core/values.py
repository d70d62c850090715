"""The values of a profile: what may be written, how it is kept, what may be seen.

This is the door; behind it, each in its own file: `record` (values with provenance), `typed` (the value
types), `fitting` (whole values against their attribute), `writing`, `claims` and `showing`.
"""

from oneself.core.attribute import SCOPES
from oneself.core.claims import Skipped, skip_unfit
from oneself.core.fitting import InvalidValue
from oneself.core.record import EMPTY, Change, Changes, Record, Source, Values, write
from oneself.core.showing import unfit, visible
from oneself.core.writing import Authority, check_write

__all__ = [
    "EMPTY",
    "SCOPES",
    "Authority",
    "Change",
    "Changes",
    "InvalidValue",
    "Record",
    "Skipped",
    "Source",
    "Values",
    "check_write",
    "skip_unfit",
    "unfit",
    "visible",
    "write",
]
