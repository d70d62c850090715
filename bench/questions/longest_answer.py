"""How long does the slowest request take during 70 seconds of steady load, with many organisations?

Method: `oneself serve` with one worker; 50 organisations (quick: 5), each with one profile and one access
token. GET of these profiles in turn at an even 200/s on 256 connections, for 70 s (quick: 5 s), without
warm-up. The figures therefore include the first requests after the start, and the requests during which the
service reloads keys, revocations or configurations. Service, database and generator share the cores.
Units: ms from request to response.
"""

import asyncio
from urllib.parse import urlsplit

from bench import load
from bench.results import Figure
from bench.stage import Bench, Service, Stage
from oneself.service.context import Actor
from oneself.service.directory.tokens import access_claims, sign_access_token
from oneself.service.ingest.trackers import new_tracker

CONNECTIONS = 256
RATE_S = 200.0
SCOPE = "internal_cds_profile_view"
ACTOR = Actor("bench", "bench-backend")


async def measure(stage: Stage) -> tuple[Figure, ...]:
    organisations = stage.size(5, 50)
    async with stage.bench() as bench:
        requests = []
        for number in range(organisations):
            requests.append(await _create(bench, f"org-{number}"))
            stage.progress(number + 1, organisations)
        with stage.service(bench.url) as service:
            report = await _ask(stage, service, tuple(requests))
    name = f"{organisations} organisations at {RATE_S:.0f}/s"
    return (
        Figure(f"{name}: longest answer", report.max_ms, "ms"),
        Figure(f"{name}: p99", report.p99_ms, "ms"),
        Figure(f"{name}: p50", report.p50_ms, "ms"),
    )


async def _create(bench: Bench, handle: str) -> bytes:
    """Create an organisation with one profile. Returns the request that reads the profile."""
    services = bench.services
    dataset_ref = (await services.setup.provisioning.create(handle, client_id=handle)).dataset_ref
    created = await services.profiles.profiles.create(dataset_ref, ACTOR, {}, tracker=new_tracker())
    issuer = services.directory.tokens.issuer(dataset_ref)
    claims = access_claims(issuer, dataset_ref, handle, handle, SCOPE, None)
    token = sign_access_token(await services.directory.signing_keys.signing_key(dataset_ref), claims)
    return load.request("GET", f"/t/{handle}/cds/api/v1/profiles/{created.profile.profile_id}", token)


async def _ask(stage: Stage, service: Service, requests: tuple[bytes, ...]) -> load.Report:
    address = urlsplit(service.url)
    plan = load.Plan(
        host=address.hostname or "",
        port=address.port or 0,
        requests=requests,
        connections=CONNECTIONS,
        duration_s=stage.size(5, 70),
        warm_up_s=0.0,
        rate_s=RATE_S,
    )
    report = await asyncio.to_thread(load.run, plan)
    load.check(report, "200")
    return report
