"""The application in the process of the test, and callers of it."""

from __future__ import annotations

from support.application import cds, http, regular, stranger

__all__ = ["cds", "http", "regular", "stranger"]
