"""`oneself console-user`: who signs in to the console, and with which role in which organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from oneself.cli.context import run
from oneself.cli.output import AsJson, Org, Yes, confirm, dataset_ref_of, show, show_list, timestamp
from oneself.cli.passwords import Password, chosen_password, password_note

if TYPE_CHECKING:
    from oneself.services import Services

app = typer.Typer(
    help="Console users: administrators, analysts and privacy officers, who sign in at /console/.",
    epilog="Console users are no customers and have no profile. One can have roles in several organisations.",
    no_args_is_help=True,
)

Username = Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")]
RoleName = Literal["administrator", "analyst", "privacy-officer"]
ROLE_HELP = "administrator: everything. analyst: reads. privacy-officer: reads, exports, erases."


@app.command()
def create(
    name: Username,
    role: Annotated[RoleName, typer.Option(help=ROLE_HELP)] = "administrator",
    password: Password = None,
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Create a console user with a role in an organisation."""
    chosen, generated = chosen_password(password)

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        await services.directory.console_users.create(name, chosen, {dataset_ref: _stored(role)})
        return {
            "console_user": name,
            "password": generated,
            "organisation": dataset_ref.handle,
            "role": role,
            "address": f"{services.settings.url}/console/",
        }

    show(run(act), as_json=as_json, note=password_note(generated))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the console users of all organisations, and their roles."""

    async def act(services: Services) -> list[dict[str, Any]]:
        return [
            {
                "console_user": user.username,
                "roles": {handle: role.replace("_", "-") for handle, role in user.roles.items()},
                "created_at": timestamp(user.created_at),
            }
            for user in await services.directory.console_users.list()
        ]

    empty = "There is no console user yet. Create one: oneself console-user create NAME"
    show_list("console_users", run(act), as_json=as_json, empty=empty)


@app.command()
def role(
    name: Username,
    role: Annotated[
        Literal["administrator", "analyst", "privacy-officer", "none"],
        typer.Argument(metavar="ROLE", help=f"{ROLE_HELP} none: takes the role."),
    ],
    org: Org = None,
    as_json: AsJson = False,
) -> None:
    """Give a console user a role in an organisation, or take it. It holds from the next page on."""

    async def act(services: Services) -> dict[str, Any]:
        dataset_ref = await dataset_ref_of(services, org)
        stored = None if role == "none" else _stored(role)
        await services.directory.console_users.set_role(name, dataset_ref, stored)
        return {"console_user": name, "organisation": dataset_ref.handle, "role": role}

    show(run(act), as_json=as_json)


@app.command("password")
def password_(name: Username, password: Password = None, as_json: AsJson = False) -> None:
    """Set the password of a console user. Ends all their sessions."""
    chosen, generated = chosen_password(password)

    async def act(services: Services) -> dict[str, Any]:
        await services.directory.console_users.set_password(name, chosen)
        return {"console_user": name, "password": generated}

    show(run(act), as_json=as_json, note=password_note(generated))


@app.command()
def delete(name: Username, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a console user and end their sessions. The audit log keeps the name."""
    confirm(f"Delete the console user {name}?", yes=yes)

    async def act(services: Services) -> dict[str, Any]:
        await services.directory.console_users.delete(name)
        return {"deleted": name}

    show(run(act), as_json=as_json)


def _stored(role: str) -> str:
    return role.replace("-", "_")
