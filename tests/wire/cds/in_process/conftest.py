"""Fixtures: the application in the test process and its callers."""

from __future__ import annotations

from support.application import cds, http, regular, stranger

__all__ = ["cds", "http", "regular", "stranger"]
