"""One file is one written question: its docstring asks, tells the method and the units; `measure` answers."""
