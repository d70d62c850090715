"""The identity server beside us, as a client of its REST interfaces. Knows no use-case."""
