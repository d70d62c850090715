"""Sample data: added with one click to a dataset of its own, and removed again.

Invariants: only administrators add and remove. A page without data offers the sample by `sample_offer`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response

from oneself.console.context import ConsoleContext, NoSuchPage, console_context, requires
from oneself.console.forms import accepted_form, page, see
from oneself.console.handlers import form_at, page_at
from oneself.errors import Conflict, NotFound
from oneself.service.sample.sample_data import SampleData, SampleDatasetRow
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
SEE, CHANGE = requires("see_overview"), requires("manage_sample_data")


class SampleOffer(msgspec.Struct, frozen=True):
    """What a page says of the sample data. `sample`: None: there is none. `is_visible`: the page shows it."""

    sample: SampleDatasetRow | None
    is_visible: bool

    @property
    def query(self) -> str:
        """What chooses its dataset in the URL of a page."""
        return "" if self.sample is None else urlencode({"dataset": self.sample.name})


async def sample_offer(context: ConsoleContext) -> SampleOffer:
    """What the page of a dataset says of the sample data."""
    sample = await _sample_data(context).find(context.dataset_ref)
    is_visible = sample is not None and sample.dataset_id == context.dataset_ref.dataset_id
    return SampleOffer(sample, is_visible)


@page_at("/sample", SEE)
async def sample_page(request: AnyRequest) -> AnyResponse:
    """Say what the sample data is, and how far its removal. A script asks for the part that changes."""
    context = console_context(request)
    return page(
        context,
        "sample_part.html" if context.is_part else "sample.html",
        offer=await sample_offer(context),
        problem="",
    )


@form_at("/sample/add", CHANGE)
async def add_sample(request: AnyRequest) -> AnyResponse:
    """Add the sample data, and show it."""
    context = console_context(request)
    try:
        async with accepted_form(context):
            added = await _sample_data(context).add(context.dataset_ref, context.actor)
    except Conflict as conflict:
        return page(
            context,
            "sample.html",
            status=409,
            offer=await sample_offer(context),
            problem=conflict.description,
        )
    return see(f"{context.home}/overview?{urlencode({'dataset': added.dataset})}")


@form_at("/sample/remove", CHANGE)
async def remove_sample(request: AnyRequest) -> AnyResponse:
    """Remove the sample data with everything in its dataset."""
    context = console_context(request)
    try:
        async with accepted_form(context):
            await _sample_data(context).remove(context.dataset_ref, context.actor)
    except NotFound:
        raise NoSuchPage from None
    return see(f"{context.home}/sample")


def _sample_data(context: ConsoleContext) -> SampleData:
    return context.services.overview.sample_data


ROUTES = (sample_page, add_sample, remove_sample)
