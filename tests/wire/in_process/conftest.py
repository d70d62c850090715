"""Fixtures: the application in the test process, its callers, and a stage for stories."""

from __future__ import annotations

from support.application import cds, http, regular, stranger
from support.staged import stage

__all__ = ["cds", "http", "regular", "stage", "stranger"]
