"""`oneself user`: the users in the embedded directory of an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp
from oneself.cli.passwords import Password, chosen_password, password_note

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.service.directory.accounts import Account
    from oneself.service.privacy.erasure import Receipt
    from oneself.services import Services

app = typer.Typer(
    help="Users: accounts in the embedded directory, with which people sign in.",
    epilog="Users register at /t/HANDLE/accounts/register; these commands are for administrators.",
    no_args_is_help=True,
)

PAGE = 500
User = Annotated[str, typer.Argument(metavar="USER", help="The e-mail address or user id.")]
Claim = Annotated[
    Literal["emailaddress", "mobile"],
    typer.Argument(metavar="CLAIM", help="`emailaddress` or `mobile`."),
]


@app.command()
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail address, which is the username.")],
    given_name: Annotated[str, typer.Option(help="First name.")],
    last_name: Annotated[str, typer.Option(help="Last name.")],
    mobile: Annotated[str, typer.Option(help="Mobile number.")] = "",
    password: Password = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Create an account. Its profile is created when the user signs in for the first time."""
    chosen, generated = chosen_password(password)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.directory.accounts import Registration

        dataset_ref = await dataset_ref_of(services, org)
        registration = Registration(email, chosen, given_name, last_name, mobile)
        account = await services.directory.accounts.create(dataset_ref, registration)
        return _fields(dataset_ref, account)

    fields = run(act)
    show({**fields, "password": generated}, as_json=as_json, note=password_note(generated))


@app.command("list")
def list_(
    org: Org = None,
    after: Annotated[str, typer.Option(metavar="EMAIL", help="List users after this one.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the users of an organisation, 500 at a time, by e-mail address."""

    async def act(services: Services) -> list[dict[str, Any]]:
        dataset_ref = await dataset_ref_of(services, org)
        return [
            {
                "username": account.username,
                "user_id": str(account.user_id),
                "name": _name(account),
                "created_at": timestamp(account.created_at),
            }
            for account in await services.directory.accounts.list(dataset_ref, after, PAGE)
        ]

    empty = (
        "There is no user. Users register at /t/HANDLE/accounts/register. Or run: oneself user create EMAIL"
    )
    show_list("users", run(act), as_json=as_json, empty=empty)


@app.command("show")
def show_(user: User, org: Org = None, as_json: AsJson = False) -> None:
    """Show one user and their claims."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        return _fields(dataset_ref, await services.directory.accounts.find_by_name(dataset_ref, user))

    show(run(act), as_json=as_json)


@app.command()
def delete(user: User, org: Org = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase a user: account, sessions, tokens and profile. Prints a receipt. This cannot be undone."""
    confirm(f"Delete the account of {user} and erase all data about the user?", yes=yes)

    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.context import Actor

        dataset_ref = await dataset_ref_of(services, org)
        account = await services.directory.accounts.find_by_name(dataset_ref, user)
        receipts = await services.directory.users.delete(dataset_ref, Actor("cli"), account.user_id)
        return {"removed": account.username, **_erased(receipts)}

    show(run(act), as_json=as_json)


@app.command()
def verify(user: User, claim: Claim, org: Org = None, as_json: AsJson = False) -> None:
    """Verify the e-mail address or mobile number of a user. Another value is unverified again."""
    _set_verified(user, claim, True, org, as_json=as_json)


@app.command()
def unverify(user: User, claim: Claim, org: Org = None, as_json: AsJson = False) -> None:
    """Withdraw the verification of the e-mail address or mobile number of a user."""
    _set_verified(user, claim, False, org, as_json=as_json)


@app.command("set-password")
def set_password(user: User, password: Password = None, org: Org = None, as_json: AsJson = False) -> None:
    """Set the password of a user. Ends all their sessions."""
    chosen, generated = chosen_password(password)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref, accounts = await dataset_ref_of(services, org), services.directory.accounts
        account = await accounts.find_by_name(dataset_ref, user)
        await accounts.set_password(dataset_ref, account.user_id, chosen)
        return {"username": account.username, "password": generated}

    show(run(act), as_json=as_json, note=password_note(generated))


def _set_verified(user: str, claim: str, is_verified: bool, org: str | None, *, as_json: bool) -> None:
    async def act(services: Services) -> dict[str, Any]:
        from oneself.service.context import Actor

        dataset_ref = await dataset_ref_of(services, org)
        account = await services.directory.accounts.find_by_name(dataset_ref, user)
        changed = await services.directory.users.change(
            dataset_ref, Actor("cli"), account.user_id, {}, {claim: is_verified}
        )
        return _fields(dataset_ref, changed)

    show(run(act), as_json=as_json)


def _name(account: Account) -> str:
    return f"{account.claims.get('givenname', '')} {account.claims.get('lastname', '')}".strip()


def _erased(receipts: tuple[Receipt, ...]) -> dict[str, Any]:
    """Summarise an erasure. There are several receipts if the user signed in during the erasure."""
    return {
        "receipts": [str(receipt.receipt_id) for receipt in receipts],
        "profiles": sum(len(receipt.profile_ids) for receipt in receipts),
        "log_entries": sum(receipt.entries for receipt in receipts),
        "identifiers": sum(receipt.identifiers for receipt in receipts),
    }


def _fields(dataset_ref: DatasetRef, account: Account) -> dict[str, Any]:
    return {
        "organisation": dataset_ref.handle,
        "username": account.username,
        "user_id": str(account.user_id),
        "created_at": timestamp(account.created_at),
        "claims": account.claims,
        "verified": {claim: timestamp(at) for claim, at in sorted(account.verified.items())},
    }
