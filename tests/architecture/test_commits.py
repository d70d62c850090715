"""Subjects of commits are short enough for every tool that lists them."""

from __future__ import annotations

import subprocess

import pytest

from .tree import ROOT

# The rule holds for the commits after this one.
LAST_BEFORE_THE_RULE = "2213fae3f23c"
SUBJECT_CHARS_MAX = 72


def test_subjects_are_short_and_end_without_a_period() -> None:
    """Imperative mood is the other half of the rule; a person checks it."""
    if _git("merge-base", "--is-ancestor", LAST_BEFORE_THE_RULE, "HEAD").returncode != 0:
        pytest.skip("This checkout has no history, or a shallow one.")
    subjects = _git("log", "--format=%s", f"{LAST_BEFORE_THE_RULE}..HEAD").stdout.splitlines()
    assert [
        subject for subject in subjects if len(subject) > SUBJECT_CHARS_MAX or subject.endswith(".")
    ] == []


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
