"""`oneself identity`: exports and applies the identity configuration of an organisation as one YAML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oneself.cli.context import err, out, run
from oneself.cli.files import check_texts, read_text, write_bytes
from oneself.cli.identity_bindings import print_preview
from oneself.cli.identity_type import UNIQUENESS
from oneself.cli.output import Org, Yes, confirm, dataset_ref_of
from oneself.errors import InvalidInput

if TYPE_CHECKING:
    from oneself.service.identity.manifest.document import Document
    from oneself.service.rules.preview import Preview
    from oneself.services import Services

app = typer.Typer(
    help="Identity configuration: identity types, datasets and identity attributes as one YAML file.",
    epilog="Write the file: oneself identity export identity.yaml. After editing: "
    "oneself identity diff identity.yaml, oneself identity apply identity.yaml",
    no_args_is_help=True,
)

File = Annotated[str, typer.Argument(metavar="FILE", help="A YAML file; - reads standard input.")]


@app.command()
def export(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="The file to write. Default: standard output.")
    ] = "-",
    org: Org = None,
) -> None:
    """Write the identity types that differ from the built-in ones, and all datasets with their identity
    attributes.

    Example: oneself identity export identity.yaml
    """
    import yaml

    async def act(services: Services) -> dict[str, Any]:
        return await services.identity.documents.export(await dataset_ref_of(services, org))

    text = yaml.safe_dump(_encoded(run(act)), sort_keys=False, allow_unicode=True)
    if file == "-":
        sys.stdout.write(text)
    else:
        write_bytes(Path(file), text.encode())


@app.command()
def diff(file: File, org: Org = None) -> None:
    """Print what applying a file would change, one change per line. Exit code 1 if there are changes.

    Example: oneself identity diff identity.yaml
    """
    document = _read(file)

    async def act(services: Services) -> list[str]:
        return await services.identity.documents.diff(await dataset_ref_of(services, org), document)

    differences = run(act)
    _print(differences)
    if differences:
        raise typer.Exit(1)


@app.command()
def apply(file: File, org: Org = None, yes: Yes = False) -> None:
    """Apply a file. First prints the changes and previews merges. Applying it again changes nothing.

    Example: oneself identity apply identity.yaml --yes
    """
    document = _read(file)

    async def preview_changes(services: Services) -> tuple[list[str], dict[str, Preview]]:
        dataset_ref, documents = await dataset_ref_of(services, org), services.identity.documents
        return await documents.diff(dataset_ref, document), await documents.previews(dataset_ref, document)

    differences, previews = run(preview_changes)
    _print(differences)
    if not differences:
        return
    for name, preview in previews.items():
        print_preview(preview, f"dataset {name}")
    confirm("Apply it?", yes=yes)

    async def act(services: Services) -> None:
        dataset_ref = await dataset_ref_of(services, org)
        await services.identity.documents.apply(dataset_ref, document, previews)

    run(act)
    err.print("Applied. A running service indexes existing profiles in the background.")


def _read(file: str) -> Document:
    import yaml

    from oneself.service.identity.manifest.document import read_document

    text = read_text(file)
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput("file", f"{file} is not valid YAML: {error}") from None
    check_texts(file, raw)
    return read_document(_decoded(raw))


def _encoded(document: dict[str, Any]) -> dict[str, Any]:
    """The document with `uniqueness` as in the file instead of `is_unique`."""
    types = document.get("identity_types", {})
    return {**document, "identity_types": {type_id: _encoded_type(entry) for type_id, entry in types.items()}}


def _encoded_type(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "uniqueness" if field == "is_unique" else field: UNIQUENESS[value] if field == "is_unique" else value
        for field, value in entry.items()
    }


def _decoded(raw: Any) -> Any:
    """The reverse of `_encoded`. `read_document` rejects values that are not a document."""
    types = raw.get("identity_types") if isinstance(raw, dict) else None
    if not isinstance(types, dict):
        return raw
    return {**raw, "identity_types": {type_id: _decoded_type(entry) for type_id, entry in types.items()}}


def _decoded_type(entry: Any) -> Any:
    if not isinstance(entry, dict) or "uniqueness" not in entry:
        return entry
    for is_unique, word in UNIQUENESS.items():
        if entry["uniqueness"] == word:
            others = {field: value for field, value in entry.items() if field != "uniqueness"}
            return {**others, "is_unique": is_unique}
    raise InvalidInput("file", f"uniqueness must be one of: {', '.join(UNIQUENESS.values())}.")


def _print(differences: list[str]) -> None:
    if not differences:
        err.print("There are no differences.")
    for line in differences:
        out.print(line, markup=False, soft_wrap=True)
