"""What must hold for the project as a whole: its files, its pins, its documentation."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from .tree import ROOT, project_files

# The hosts and words by which a lock file or a script would tie the project to one registry or one machine.
REGISTRY = re.compile(
    r"(?:pypi|files\.pythonhosted|registry\.npmjs|registry\.yarnpkg|npm\.pkg|crates)\.(?:org|com|io|github)"
    r"|--(?:extra-)?index-url|--find-links|_authToken",
    re.IGNORECASE,
)
BINARY = {".png", ".jpg", ".ico", ".woff2", ".gz", ".parquet"}
# They name these words in order to forbid or to avoid them.
ABOUT_REGISTRIES = {"tests/architecture/test_project.py", "tools/lock"}


def test_no_file_names_a_package_registry() -> None:
    found = []
    for path in project_files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in BINARY or name in ABOUT_REGISTRIES:
            continue
        found += [f"{name}: {match[0]}" for match in REGISTRY.finditer(path.read_text("utf-8", "replace"))]
    assert not found


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / f"{name}.txt").read_text("utf-8"))
    requirements = [block for block in blocks if not block.startswith("#")]
    assert requirements
    for block in requirements:
        assert re.match(r"[a-z0-9-]+==\S+", block), block
        assert "--hash=sha256:" in block, block


def test_every_dependency_of_the_package_is_pinned() -> None:
    """pyproject.toml and requirements.in name the same packages; the build backend is pinned as well."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"].get("optional-dependencies", {}).values()
    declared = {_name(line) for part in (project["project"]["dependencies"], *extras) for line in part}
    lines = (ROOT / "requirements.in").read_text("utf-8").splitlines()
    pinned = {_name(line) for line in lines if line and not line.startswith("#")}
    assert pinned - declared == {"flit-core"}
    assert declared <= pinned


def test_links_in_the_documentation_lead_somewhere() -> None:
    result = subprocess.run(
        [sys.executable, "tools/check_docs.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def _name(requirement: str) -> str:
    return re.split(r"[\s;<>=#\[]", requirement.strip())[0].lower()
