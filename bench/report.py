"""Writes the table in `README.md` from the stored results."""

from pathlib import Path

from . import results
from .results import Figure, Result

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- results: written by make bench -->", "<!-- end of results -->"


def write() -> None:
    """Write the newest result of each question to the table in README.md."""
    text = README.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(f"{head}{BEGIN}\n\n{_tables()}\n{END}{tail}")


def sentence(figure: Figure) -> str:
    """Format a figure as a line of text."""
    bare = f"   bare {number(figure.bare)} ({figure.bare_means})" if figure.bare is not None else ""
    target = f"   target {figure.target}" if figure.target else ""
    return f"{figure.name}: {number(figure.value)} {figure.unit}{bare}{target}"


def number(value: float) -> str:
    """Format a number with three significant digits and separated thousands."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _tables() -> str:
    stored = [results.read(path.stem) for path in sorted(results.FOLDER.glob("*.json"))]
    newest = [history[-1] for history in stored if history]
    figures = [_row(result, figure) for result in newest for figure in result.figures]
    head = ["| question | figure | measured | bare PostgreSQL | target |", "|---|---|---|---|---|"]
    origins = ["", "| question | when | commit | machine |", "|---|---|---|---|", *map(_origin, newest), ""]
    return "\n".join([*head, *figures, *origins])


def _row(result: Result, figure: Figure) -> str:
    bare = f"{number(figure.bare)} ({figure.bare_means})" if figure.bare is not None else ""
    measured = f"{number(figure.value)} {figure.unit}"
    return f"| `{result.question}` | {figure.name} | {measured} | {bare} | {figure.target} |"


def _origin(result: Result) -> str:
    m = result.machine
    where = (
        f"{m.cores} cores ({m.processor}), {m.memory_gb} GB, Linux {m.kernel}, "
        f"PostgreSQL {m.postgresql}, Python {m.python}, load before {m.load}"
    )
    lines = "; ".join((where, *result.notes))
    return f"| `{result.question}` | {result.at} | `{result.commit}` | {lines} |"
