"""`oneself user`: the people of an organisation's embedded directory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import run
from oneself.cli.files import decoded_input
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.service.directory.accounts import Account
    from oneself.service.privacy.erasure import Receipt
    from oneself.services import Services

app = typer.Typer(
    help="Users: the people who sign in, in the directory that comes with Oneself.",
    epilog="People register themselves at /t/HANDLE/accounts/register; these are for administrators.",
    no_args_is_help=True,
)

PAGE = 500
Who = Annotated[str, typer.Argument(metavar="USER", help="Their e-mail address or user id.")]
Password = Annotated[
    str | None,
    typer.Option(metavar="PASSWORD", help="Asked for at a terminal, else drawn and shown once."),
]


@app.command()
def create(
    email: Annotated[
        str, typer.Argument(metavar="EMAIL", help="Their e-mail address, which is the username.")
    ],
    given_name: Annotated[str, typer.Option(help="First name.")],
    last_name: Annotated[str, typer.Option(help="Last name.")],
    mobile: Annotated[str, typer.Option(help="Mobile number.")] = "",
    password: Password = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Make an account. Its profile appears when its owner signs in for the first time."""
    chosen, drawn = _password(password)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.directory.accounts import Registration

        dataset_ref = await dataset_ref_of(services, org)
        registration = Registration(email, chosen, given_name, last_name, mobile)
        made = await services.directory.accounts.register(dataset_ref, registration)
        return _facts(dataset_ref, made)

    facts = run(act)
    show({**facts, "password": drawn}, as_json=as_json, note=_note(drawn))


@app.command("list")
def list_(
    org: Org = None,
    after: Annotated[str, typer.Option(metavar="EMAIL", help="Begin after this one.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the users of an organisation, 500 at a time, by e-mail address."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [
            {
                "username": found.username,
                "user_id": str(found.user_id),
                "name": _name(found),
                "created_at": timestamp(found.created_at),
            }
            for found in await services.directory.accounts.list(dataset_ref, after, PAGE)
        ]

    empty = "There is no user. People register at /t/HANDLE/accounts/register; or: oneself user create EMAIL"
    show_list("users", run(act), as_json=as_json, empty=empty)


@app.command("show")
def show_(user: Who, org: Org = None, as_json: AsJson = False) -> None:
    """Show one user and the claims that their profile mirrors."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _facts(dataset_ref, await services.directory.accounts.find_by_name(dataset_ref, user))

    show(run(act), as_json=as_json)


@app.command()
def delete(user: Who, org: Org = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase a person: account, sessions, tokens and profile, with a receipt. There is no way back."""
    confirm(f"Remove the account of {user} and erase everything about its owner?", yes=yes)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.context import Actor

        dataset_ref = await dataset_ref_of(services, org)
        found = await services.directory.accounts.find_by_name(dataset_ref, user)
        erased = await services.directory.users.delete(dataset_ref, Actor("cli"), found.user_id)
        return {"removed": found.username, **_erased(erased)}

    show(run(act), as_json=as_json)


@app.command("set-password")
def set_password(user: Who, password: Password = None, org: Org = None, as_json: AsJson = False) -> None:
    """Give a user a new password; they are signed out everywhere."""
    chosen, drawn = _password(password)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref, accounts = await dataset_ref_of(services, org), services.directory.accounts
        found = await accounts.find_by_name(dataset_ref, user)
        await accounts.set_password(dataset_ref, found.user_id, chosen)
        return {"username": found.username, "password": drawn}

    show(run(act), as_json=as_json, note=_note(drawn))


def _password(given: str | None) -> tuple[str, str | None]:
    """The password to set, and again if it was drawn here and must be shown."""
    if given is not None:
        return given, None
    if sys.stdin.isatty():
        with decoded_input():
            return typer.prompt("Password", hide_input=True, confirmation_prompt=True), None
    from oneself.service.crypto import new_token

    drawn = new_token()
    return drawn, drawn


def _note(drawn: str | None) -> str:
    return "The password is shown this once; it is stored as a hash only." if drawn else ""


def _name(account: Account) -> str:
    return f"{account.claims.get('givenname', '')} {account.claims.get('lastname', '')}".strip()


def _erased(receipts: tuple[Receipt, ...]) -> dict[str, Any]:
    """What was erased; more than one receipt if the person signed in meanwhile."""
    return {
        "receipts": [str(receipt.receipt_id) for receipt in receipts],
        "profiles": sum(len(receipt.profile_ids) for receipt in receipts),
        "log_entries": sum(receipt.entries for receipt in receipts),
        "identifiers": sum(receipt.identifiers for receipt in receipts),
    }


def _facts(dataset_ref: DatasetRef, account: Account) -> dict[str, Any]:
    return {
        "organisation": dataset_ref.handle,
        "username": account.username,
        "user_id": str(account.user_id),
        "created_at": timestamp(account.created_at),
        "claims": account.claims,
    }
