"""How much time does the consent filter add to a read?

Method: `oneself serve` with one worker on a database with 100 000 persons (quick: 2 000). There are twenty
traits in ten consent categories; 2 000 persons (quick: 40) have all traits and a choice in every category,
half of them granted. GET of these profiles in turn, first by a system application, which reads everything,
then by another application that names five categories; each at an even 1 000/s, then as fast as possible on
64 connections, 15 s each (quick: 3 s). Service, database and generator share the cores. Bare: the same rows
by primary key, one prepared SELECT at a time on one connection. The filter needs no other query, because the
choices are in the row of the profile.
Units: ms from request to response; responses per second.
"""

import asyncio
import time
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from bench import load, population
from bench.questions.http_writes import PROFILES
from bench.questions.profile_reads import RATE_S, read_alone
from bench.results import Figure, percentile
from bench.stage import ORG, Bench, Stage
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.core.config.changes import PutAttributes
from oneself.core.profiles.consent import Category, CategoryAttribute
from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.applications import NewApplication

READER = ("reader", "the secret of an application that is not a system application")
TRAITS = tuple(f"taste_{number}" for number in range(20))
CATEGORIES = 10
CATEGORIES_REQUESTED = 5
ACTOR = Actor("bench", "bench-backend")


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons = stage.size(2_000, 100_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        dataset_ref = await bench.services.directory.organisations.get(ORG)
        categories = await _define(bench, dataset_ref)
        chosen = [population.profile_id(number * 49) for number in range(stage.size(40, 2_000))]
        for first in range(0, len(chosen), 200):
            await asyncio.gather(
                *(_choose(bench, dataset_ref, i, categories) for i in chosen[first : first + 200])
            )
        with stage.service(bench.url) as service:
            address = urlsplit(service.url)
            everything = load.Plan(
                host=address.hostname or "",
                port=address.port or 0,
                requests=tuple(load.request("GET", f"{PROFILES}/{i}", service.token()) for i in chosen),
                connections=64,
                duration_s=stage.size(3, 15),
            )
            requested = ",".join(categories[:CATEGORIES_REQUESTED])
            token = service.token(*READER)
            paths = (f"{PROFILES}/{i}?consentCategoryId={requested}" for i in chosen)
            filtered = msgspec.structs.replace(
                everything, requests=tuple(load.request("GET", path, token) for path in paths)
            )
            reports = [await _ask(plan) for plan in (everything, filtered)]
        alone = await read_alone(bench, chosen)
    return tuple(
        figure
        for name, (steady, most) in zip(("system application", "filtered by consent"), reports, strict=True)
        for figure in _figures(name, steady, most, alone)
    )


def _figures(name: str, steady: load.Report, most: load.Report, alone: list[float]) -> tuple[Figure, ...]:
    means = "SELECT by primary key"
    return (
        Figure(f"{name}: p50 at 1 000/s", steady.p50_ms, "ms", percentile(alone, 0.5), means, "≤ 2 ms"),
        Figure(f"{name}: p99 at 1 000/s", steady.p99_ms, "ms", percentile(alone, 0.99), means),
        Figure(f"{name}: at will", most.per_s, "answers/s", 1000 * len(alone) / sum(alone), means),
    )


async def _ask(plan: load.Plan) -> tuple[load.Report, load.Report]:
    steady = await asyncio.to_thread(load.run, load.at_rate(plan, RATE_S))
    most = await asyncio.to_thread(load.run, plan)
    for report in (steady, most):
        load.check(report, "200")
    return steady, most


async def _define(bench: Bench, dataset_ref: DatasetRef) -> list[str]:
    """Create traits, categories of two traits each, and an application that is not a system application."""
    attributes = tuple(
        Attribute(f"id-{name}", f"traits.{name}", value_type="string", merge_strategy="overwrite")
        for name in TRAITS
    )
    await bench.services.configurations.change(dataset_ref.dataset_id, lambda _: PutAttributes(attributes))
    application = NewApplication(
        "reader", permissions=PERMISSIONS, client_id=READER[0], client_secret=READER[1]
    )
    await bench.services.directory.applications.create(dataset_ref, application)
    created = []
    for number in range(CATEGORIES):
        entries = tuple(CategoryAttribute(f"traits.{name}") for name in TRAITS[number::CATEGORIES])
        draft = Category("", f"Purpose {number}", "personalization", attributes=entries)
        created.append(
            (await bench.services.profiles.consents.create(dataset_ref, draft)).category_identifier
        )
    return created


async def _choose(bench: Bench, dataset_ref: DatasetRef, profile_id: UUID, categories: list[str]) -> None:
    values = {"traits": {name: f"something about {name}" for name in TRAITS}}
    await bench.services.profiles.profiles.patch(dataset_ref, ACTOR, profile_id, values)
    now = time.time_ns() // 1000
    choices = {category: (number % 2 == 0, now) for number, category in enumerate(categories)}
    await bench.services.profiles.consents.replace_choices(dataset_ref, ACTOR, profile_id, choices)
