"""Runs the demo: starts the service, plays the story, serves the shop, stops everything.

Invariants: everything that was started is stopped at the end of the story, on Ctrl-C, SIGTERM or an error.
Exit code 0; 1 if an expectation of the story failed; 130 if --once was interrupted.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from rich.console import Console

from oneself.demo.farewell import print_next_steps
from oneself.demo.narrator import ExpectationFailed, Narrator
from oneself.demo.stage import SHOP_NAME, Stage, running_stage, shop_socket
from oneself.demo.story import Story

WIDTH_MAX = 110
# The exit code of shells for Ctrl-C.
INTERRUPTED = 130


def play(data_dir: Path | None, port: int | None, *, once: bool) -> int:
    """Play the story. `once`: exit afterwards, else serve the shop until Ctrl-C. Returns the exit code."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH_MAX)
    narrator = Narrator(console)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        narrator.say(f"[bold]{SHOP_NAME}[/], a small bookshop, starts its own customer data service …")
        with shop_socket(port) as listener, running_stage(data_dir, port, listener, narrator) as stage:
            _play(stage, listener, narrator, console, once=once)
    except ExpectationFailed as error:
        console.print(f"[bold red]✗[/] Failed: {error}")
        return 1
    except KeyboardInterrupt:
        narrator.say("\nStopped.")
        return INTERRUPTED if once else 0
    return 0


def _play(stage: Stage, listener: socket.socket, narrator: Narrator, console: Console, *, once: bool) -> None:
    story = Story(stage, narrator)
    try:
        story.play()
    finally:
        story.close()
    if once:
        narrator.say("\n[bold]The end.[/] Without --once, the service and the shop keep running.")
        return
    from oneself.demo.shop import serve_shop

    serve_shop(stage, listener, lambda: print_next_steps(stage, console))
    narrator.say("\nStopped.")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(play(None, None, once="--once" in sys.argv))
