"""The whole demo: stage up, story told, shop open, stage down.

Law of this module: however it ends (the story's end, Ctrl-C, SIGTERM, an error), everything that was
started is stopped. Exit code 0, or 1 when the service broke a promise of the story, 130 when
a story that was to be told once was cut short.
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from rich.console import Console

from oneself.demo.farewell import print_next_steps
from oneself.demo.stage import SHOP_NAME, Stage, shop_socket, staged
from oneself.demo.story import Story
from oneself.demo.teller import Broken, Teller

WIDTH_MAX = 110
# What a shell makes of Ctrl-C.
INTERRUPTED = 130


def play(data_dir: Path | None, port: int | None, *, once: bool) -> int:
    """Play the story; `once`: end afterwards, else keep the shop open until Ctrl-C. Returns the exit code."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH_MAX)
    teller = Teller(console)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        teller.say(f"[bold]{SHOP_NAME}[/], a small bookshop, starts a customer data service of its own …")
        with shop_socket(port) as listener, staged(data_dir, port, listener, teller) as stage:
            _play(stage, listener, teller, console, once=once)
    except Broken as promise:
        console.print(f"[bold red]✗[/] Not kept: {promise}")
        return 1
    except KeyboardInterrupt:
        teller.say("\nStopped.")
        return INTERRUPTED if once else 0
    return 0


def _play(stage: Stage, listener: socket.socket, teller: Teller, console: Console, *, once: bool) -> None:
    story = Story(stage, teller)
    try:
        story.play()
    finally:
        story.close()
    if once:
        teller.say("\n[bold]The end.[/] Without --once everything keeps running, to be tried by hand.")
        return
    from oneself.demo.shop import keep_open

    keep_open(stage, listener, lambda: print_next_steps(stage, console))
    teller.say("\nStopped.")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(play(None, None, once="--once" in sys.argv))
