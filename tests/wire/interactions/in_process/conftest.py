"""The application in the process of the test, and callers of it."""

from __future__ import annotations

from support.application import cds, fast_crypto, http, one_key, regular, stranger

__all__ = ["cds", "fast_crypto", "http", "one_key", "regular", "stranger"]
