"""Written questions: each docstring gives question, method and units; `measure` answers."""
