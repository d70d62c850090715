"""The application and its callers, as the tests of the REST wires have them."""

from __future__ import annotations

from api.conftest import cds, http, in_a_hurry, one_key, regular, stranger

__all__ = ["cds", "http", "in_a_hurry", "one_key", "regular", "stranger"]
