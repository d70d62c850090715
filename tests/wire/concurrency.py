"""Concurrent requests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx


def run_concurrently(tasks: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Run all tasks at the same time, each in its own thread; their answers in order."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))
