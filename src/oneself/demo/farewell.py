"""Prints URLs, credentials and curl commands at the end of the story, while the service keeps running."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from oneself.demo.stage import BACKEND, ORG, Stage
from oneself.demo.story import ANN, BEN, PASSWORD, SHOP_PERMISSIONS


def print_next_steps(stage: Stage, console: Console) -> None:
    """Print what a user needs to try the demo. Lines are not wrapped, so that they can be copied."""
    console.print()
    console.rule("[bold]The service keeps running. Try it[/]", align="left", style="cyan")
    for name, value, note in _addresses(stage):
        console.print(f"  {name:<11} [bold]{escape(value)}[/]  [dim]{note}[/]", soft_wrap=True)
    console.print("\n  [bold]Commands[/] for another terminal:\n")
    for line in curl_lines(stage):
        console.print(escape(line), soft_wrap=True)
    console.print(f"\n  Verify the log: [bold]oneself verify --data-dir {stage.folder}[/]", soft_wrap=True)
    console.print("  Stop everything: [bold]Ctrl-C[/]")
    console.file.flush()


def _addresses(stage: Stage) -> list[tuple[str, str, str]]:
    return [
        ("shop", f"{stage.shop}/", "put a book in the basket, register, sign in"),
        ("console", f"{stage.service}/console/", f"sign in as admin, password: {stage.admin_password}"),
        ("reference", f"{stage.service}/docs", "all requests; send them from the page"),
        ("service", f"{stage.service}{stage.api}", "the customer data service of the bookshop"),
        ("users", f"{ANN['email']}, {BEN['email']}", f"password: {PASSWORD}"),
        ("back end", BACKEND, f"client secret: {stage.backend_secret}"),
        ("folder", str(stage.folder), "database, keys and service.log"),
    ]


def curl_lines(stage: Stage) -> list[str]:
    """Return shell commands that work as printed."""
    credentials = f"-u '{BACKEND}:{stage.backend_secret}' -d grant_type=client_credentials"
    scope = f"-d 'scope={' '.join(SHOP_PERMISSIONS)}'"
    decode = """python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])'"""
    authorized = 'curl -s -H "Authorization: Bearer $TOKEN"'
    body = """-H 'Content-Type: application/json' -d '{"traits": {"interests": ["cooking"]}}'"""
    event = """{"action": "View Book", "user": {"anonId": "fedcba9876543210", "id": "abc123"}}"""
    address = f"{stage.service}{stage.event_path}"
    return [
        f"API={stage.service}{stage.api}",
        f"TOKEN=$(curl -s {credentials} {scope} {stage.service}/t/{ORG}/oauth2/token | {decode})",
        "# list profiles with their interests",
        f'{authorized} "$API/profiles?attributes=traits,identity_attributes" | python3 -m json.tool',
        "# send an event of a known user",
        f"curl -s -H 'Content-Type: application/json' -d '{event}' {address}; echo",
        "# create a temporary profile",
        f'{authorized} {body} "$API/profiles"; echo',
        "# find profiles with the interest chess",
        f'{authorized} -G --data-urlencode "filter=traits.interests eq chess" "$API/profiles"; echo',
    ]
