"""What an erasure would take, as a document."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter
from msgspec import Struct

from oneself.core.identity_graph.joins import View
from oneself.service.privacy.erasure import ErasurePreview

#: The parameter that only asks.
DryRun = Annotated[
    str | None,
    QueryParameter(
        name="dry_run", description="`true` erases nothing and answers whose parts the erasure would take."
    ),
]


class ErasurePreviewDocument(Struct, frozen=True):
    """What an erasure would take. `users`: whose parts. `entries`: of the log."""

    view: View
    profile_ids: list[UUID]
    users: list[str]
    entries: int
    identifiers: int


def render_erasure_preview(preview: ErasurePreview, view: View) -> ErasurePreviewDocument:
    """The document of what an erasure would take in a view."""
    return ErasurePreviewDocument(
        view, list(preview.profile_ids), list(preview.users), preview.entries, preview.identifiers
    )
