"""Fixtures: the application in the test process and its callers. Nobody acts before a test or after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oneself.service.acting import act_as
from support.application import cds, http

__all__ = ["cds", "http", "nobody_acts"]


@pytest.fixture(autouse=True)
def nobody_acts() -> Iterator[None]:
    act_as(None)
    yield
    act_as(None)
