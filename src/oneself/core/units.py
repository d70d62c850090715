"""Units of time. Inside, instants (since 1970) and spans are whole µs; most words of the wires are in ms."""

from uuid import UUID

MILLISECOND_US = 1000
MINUTE_US = 60_000_000
#: After every seq, and every instant in µs that a clock reaches.
SEQ_MAX = 2**62
#: After every id.
UUID_MAX = UUID(int=2**128 - 1)
