"""The files of the web SDK: unit tests, sizes, how the service serves them, and the npm package."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from oneself.web.sdk import CALLS, FILES, find_file, find_scripts
from support.commands import run_command
from support.service import RunningService

FOLDER = Path(__file__).parents[2] / "sdk"
#: Bytes of a script, compressed, at most.
BUDGETS = {"oneself.js": 6_000}
USE = """
import assert from "node:assert/strict";
import oneself, { create } from "oneself-sdk";
import { createRequire } from "node:module";
const required = createRequire(import.meta.url)("oneself-sdk");
assert.deepEqual(Object.keys(oneself).sort(), Object.keys(required.default).sort());
assert.equal(typeof create().track, "function");
console.log(JSON.stringify(Object.keys(oneself)));
"""
TYPED = """
import oneself, { type Options } from "oneself-sdk";
const options: Options = { url: "https://oneself.example", dataset: "web" };
oneself.init(options);
const end: () => void = oneself.on("response", ({ resolvedUserId }) => resolvedUserId?.length);
// @ts-expect-error: `dataset` is missing.
oneself.init({ url: "https://oneself.example" });
"""


def test_unit_tests_pass() -> None:
    found = subprocess.run(
        ["npm", "test", "--silent"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"^# pass [1-9]", found.stdout, re.MULTILINE), found.stdout


@pytest.mark.parametrize("script", find_scripts(), ids=lambda script: script.name)
def test_a_script_is_small(script) -> None:  # type: ignore[no-untyped-def]
    assert script.size <= BUDGETS[script.name]


def test_every_script_was_built() -> None:
    assert [script.name for script in find_scripts()] == list(BUDGETS)
    for name in FILES:
        assert find_file(name) == (FOLDER / "dist" / name).read_bytes(), "run tools/build-sdk"


def test_a_browser_checks_a_script_and_stores_it(service: RunningService) -> None:
    (script,) = find_scripts()
    answer = httpx.get(f"{service.base_url}{script.path}", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-encoding"] == "gzip"
    digest = base64.b64encode(hashlib.sha384(answer.content).digest()).decode()
    assert script.integrity == f"sha384-{digest}"
    assert script.size == len(gzip.compress(answer.content, mtime=0))


@pytest.mark.parametrize("query", ["", "?v=", "?v=0123456789ab"])
def test_another_version_is_asked_for_each_time(service: RunningService, query: str) -> None:
    url = f"{service.base_url}/sdk/oneself.js{query}"
    answer = httpx.get(url)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    again = httpx.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["access-control-allow-origin"] == "*"


def test_the_source_of_a_script_is_there(service: RunningService) -> None:
    script = httpx.get(f"{service.base_url}/sdk/oneself.js").text
    found = re.search(r"//# sourceMappingURL=(\S+)", script)
    assert found
    source_map = httpx.get(f"{service.base_url}/sdk/{found[1]}").json()
    assert "../core/outbox.ts" in source_map["sources"]


@pytest.mark.parametrize("name", ["other.js", ".built", "..%2fpages.css", "oneself.js.gz"])
def test_nothing_else_is_served(service: RunningService, name: str) -> None:
    assert httpx.get(f"{service.base_url}/sdk/{name}").status_code == 404


def test_the_command_prints_what_a_page_needs() -> None:
    (script,) = find_scripts()
    settings = {"ONESELF_PUBLIC_URL": "https://cds.acme.example/"}
    printed = run_command("sdk", "--org", "acme", "--dataset", 'w"</script>', environment=settings)
    assert printed.returncode == 0, printed.stderr
    assert f'src="https://cds.acme.example{script.path}"' in printed.stdout
    assert f'integrity="{script.integrity}" crossorigin="anonymous"' in printed.stdout
    assert 'url: "https://cds.acme.example/t/acme"' in printed.stdout
    assert printed.stdout.count("</script>") == 2
    for name in CALLS:
        assert f'"{name}"' in printed.stdout
    listed = json.loads(run_command("sdk", "--json", environment=settings).stdout)
    assert listed["oneself.js"] == {
        "address": f"https://cds.acme.example{script.path}",
        "integrity": script.integrity,
        "bytes": script.size,
    }


def test_the_npm_package_can_be_imported(tmp_path: Path) -> None:
    """As a module, by `require`, and with types."""
    package = tmp_path / "node_modules" / "oneself-sdk"
    package.parent.mkdir()
    listed = subprocess.run(
        ["npm", "pack", "--silent", "--json", "--pack-destination", str(tmp_path)],
        cwd=FOLDER, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (packed,) = json.loads(listed.stdout)
    files = {item["path"] for item in packed["files"]}
    assert {"package.json", "README.md", "LICENSE", "dist/oneself.mjs", "dist/oneself.js"} <= files
    assert not [name for name in files if "tests" in name]
    subprocess.run(["tar", "-xzf", packed["filename"]], cwd=tmp_path, check=True)
    (tmp_path / "package").rename(package)
    (tmp_path / "use.mjs").write_text(USE)
    used = subprocess.run(["node", "use.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert used.returncode == 0, used.stderr
    assert set(CALLS) <= set(json.loads(used.stdout))
    (tmp_path / "typed.ts").write_text(TYPED)
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    typed = subprocess.run(
        [str(FOLDER / "node_modules" / ".bin" / "tsc"), *options, "typed.ts"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert typed.returncode == 0, typed.stdout
