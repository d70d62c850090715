"""Units of time. Inside, instants (since 1970) and spans are whole µs; most words of the wires are in ms."""

MILLISECOND_US = 1000
