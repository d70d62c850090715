"""Named SQL statements, read from the `.sql` files below `store/`.

A statement in a file looks like this, and runs to the next `-- name:`:

    -- name: find_profiles
    -- Profiles by id.
    -- $2: profile ids
    -- Further lines give reasons, if the statement needs any.
    SELECT {profile_columns} FROM profile WHERE dataset_id = $1 AND profile_id = ANY ($2::uuid[]);

In the files of `store/tables`, `$1` is the dataset unless the header says otherwise, and every other
parameter has a line of its own. A `{name}` stands for a fragment of `store/fragments.py`. Both are checked
when a file is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

from oneself.store.fragments import FRAGMENTS

_STATEMENT = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)\n(?P<header>(?:--.*\n)+)", re.MULTILINE)
_FRAGMENT = re.compile(r"\{([a-z_]+)\}")
_DECLARED = re.compile(r"^-- \$(\d+)(?: to \$(\d+))?:", re.MULTILINE)
_USED = re.compile(r"\$(\d+)")


class Queries:
    """The statements of one file, one attribute per `-- name:`.

    `Queries("profile")` reads `store/tables/profile.sql`, `Queries("shadow", folder=".")`
    `store/shadow.sql`. Raises ValueError if a statement uses an unknown fragment, or if the parameters that
    it uses are not those that its header declares.
    """

    def __init__(self, name: str, *, folder: str = "tables") -> None:
        self._file = f"{name}.sql"
        text = resources.files("oneself.store").joinpath(folder, self._file).read_text("utf-8")
        self._statements = dict(_split(text, self._file))

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"{self._file} has no statement named {name}") from None

    def names(self) -> list[str]:
        return list(self._statements)


def _split(text: str, file: str) -> Iterable[tuple[str, str]]:
    found = list(_STATEMENT.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    for match, end in zip(found, ends, strict=True):
        sql = text[match.end() : end].strip().removesuffix(";")
        sql = _FRAGMENT.sub(lambda fragment: _fragment(fragment[1], file), sql)
        _check_parameters(match["header"], sql, f"{file}: {match['name']}")
        yield match["name"], sql


def _fragment(name: str, file: str) -> str:
    try:
        return FRAGMENTS[name]
    except KeyError:
        raise ValueError(
            f"{file} uses {{{name}}}; store/fragments.py has no fragment of this name."
        ) from None


def _check_parameters(header: str, sql: str, where: str) -> None:
    declared = {1} if _USED.search(sql) else set[int]()
    for first, last in _DECLARED.findall(header):
        declared |= set(range(int(first), int(last or first) + 1))
    used = {int(number) for number in _USED.findall(sql)}
    if declared != used:
        numbers = ", ".join(f"${number}" for number in sorted(declared ^ used))
        raise ValueError(f"{where} declares other parameters than it uses: {numbers}.")
