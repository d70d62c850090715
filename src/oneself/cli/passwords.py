"""Passwords that commands set: given, prompted for, or random."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oneself.cli.files import decoded_input

Password = Annotated[
    str | None,
    typer.Option(
        metavar="PASSWORD", help="Default: prompt for it at a terminal, else a random one, shown once."
    ),
]


def chosen_password(option: str | None) -> tuple[str, str | None]:
    """The password to set, and the password to show, None unless it was generated."""
    if option is not None:
        return option, None
    if sys.stdin.isatty():
        with decoded_input():
            return typer.prompt("Password", hide_input=True, confirmation_prompt=True), None
    from oneself.service.crypto import new_token

    generated = new_token()
    return generated, generated


def password_note(generated: str | None) -> str:
    """The note below a password that is printed."""
    return "The password is shown only once. Only its hash is stored." if generated else ""
