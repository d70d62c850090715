"""The questions. The docstring of a module states question, method and units; `measure` runs it."""
