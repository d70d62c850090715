"""Fixtures: a stage for stories."""

from __future__ import annotations

from support.staged import stage

__all__ = ["stage"]
