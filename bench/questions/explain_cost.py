"""Does it take longer to explain a person of more fragments, or how two of them belong together?

Method: people of 10, 1 000 and 100 000 fragments (quick: 10 and 1 000), written into the tables as the write
path leaves them: browsers of which servers said one address, and browsers that one user owns; each person
beside another one whom servers keep apart. Then, without other load, each of 20 times: the first page of 50
joins in the views proven and all, a page from the middle, the path between two random fragments, and why the
two people are two.
Units: ms, the median; the ratio of the most fragments to the fewest.
"""

import random
import time
import uuid
from collections.abc import Awaitable, Callable
from uuid import UUID

from bench.results import Figure, figures_by_size, median
from bench.stage import Bench, Stage
from oneself.core.config.changes import PutIdentityAttributes
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity.identity_type import IdentityBinding
from oneself.core.identity_graph.browser import BrowserFragments
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Owner, Tenure
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.replay import AbsorbedPart
from oneself.core.values.record import EMPTY
from oneself.service.context import DatasetRef
from oneself.service.explain.values import FIRST_JOIN, JoinPosition
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Transaction, begin

SIZES_QUICK = (10, 1_000)
SIZES_FULL = (10, 1_000, 100_000)
REPEATS = 20
PAGE = 50
ROWS_AT_ONCE = 5_000
ACTS = ("by address: first page", "by address: middle", "by address: path", "of a user: first page",
        "of a user: path", "two people", "view all: first page", "view all: path")  # fmt: skip
_BINDINGS = (IdentityBinding("emailAddress", "emailAddress", "identity_attributes.emailaddress"),)
_BELIEVED = """
INSERT INTO profile (dataset_id, profile_id, survivor_id, reason, primary_id, created_at, updated_at,
                     active_at, seq, record_values, provenance, identities, consents, visit_at,
                     first_active_at)
SELECT $1, id, nullif($3, id), CASE WHEN id <> $3 THEN 'identity:emailAddress' END, left(id::text, 8), now(),
       now(), now(), 1, '{}', '{}', '{}', '{}', now(), now()
FROM unnest($2::uuid[]) AS id;
"""
_MERGES = """
INSERT INTO merge (dataset_id, absorbed_id, seq, survivor_id, reason, namespace, value, observation_id)
SELECT $1, id, number, $3, 'identity:emailAddress', 'emailAddress', $4, id
FROM unnest($2::uuid[]) WITH ORDINALITY AS part (id, number) WHERE id <> $3;
"""
_CLAIMS = """
INSERT INTO claim (dataset_id, namespace, value, seq, profile_id, trust, at, since)
SELECT $1, 'emailAddress', $3, number, id, 'server', number, number
FROM unnest($2::uuid[]) WITH ORDINALITY AS part (id, number);
"""
_LOG = """
INSERT INTO log (dataset_id, seq, observation_id, kind, name, config_version, content, profile_id,
                 fragment_id)
SELECT $1, $3 + number, id, 'event', 'Visit', 1,
       jsonb_build_object('kind', 'event', 'observation_id', id, 'new_profile_id', id, 'name', 'Visit',
                          'face', 'interactions', 'application', 'shop'),
       id, id
FROM unnest($2::uuid[]) WITH ORDINALITY AS part (id, number);
"""


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    found: dict[int, list[float]] = {}
    async with stage.bench() as opened:
        await bind_addresses(opened)
        for number, size in enumerate(sizes):
            people = LargePeople(opened, size, base=(number + 1) * 10_000_000)
            await people.write()
            found[size] = await people.measured()
            stage.progress(number + 1, len(sizes))
    return figures_by_size(ACTS, found, what="fragments")


async def bind_addresses(bench: Bench) -> None:
    """Make an address identify people."""
    await bench.services.configurations.change(bench.dataset_id, lambda _: PutIdentityAttributes(_BINDINGS))


class LargePeople:
    """A person by address, one beside them, and one of a user."""

    def __init__(self, bench: Bench, size: int, *, base: int) -> None:
        self._bench, self._size, self._base = bench, size, base
        self._ref = DatasetRef(bench.dataset_id, "bench", bench.dataset_id)
        self._by_address, self._other, self._of_user = (
            sorted(uuid.uuid4() for _ in range(size)) for _ in range(3)
        )
        self._rng = random.Random(size)
        #: The profiles of the person by address and of the one of a user.
        self.heads = self._by_address[0], self._of_user[0]

    async def write(self) -> None:
        address, user = f"p-{self._size}@shop.example", f"user-{self._size}"
        await self._write(self._by_address, address, None)
        await self._write(self._other, f"o-{self._size}@shop.example", f"o-{self._size}")
        await self._write(self._of_user, None, user)
        async with begin(self._bench.services.database, self._bench.dataset_id) as transaction:
            for statement, *parameters in (
                (_BELIEVED, self._by_address, self._by_address[0]),
                (_MERGES, self._by_address, self._by_address[0], address),
                (_CLAIMS, self._by_address, address),
            ):
                await transaction.connection.execute(statement, self._bench.dataset_id, *parameters)
            await transaction.connection.execute("ANALYZE")

    async def _write(self, ids: list[UUID], address: str | None, user: str | None) -> None:
        rows = [self._row(item, ids, number, address, user) for number, item in enumerate(ids)]
        async with begin(self._bench.services.database, self._bench.dataset_id) as transaction:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                await self._write_rows(transaction, rows[start : start + ROWS_AT_ONCE])
            absorbed = tuple(AbsorbedPart(item, "identity:emailAddress", self._base) for item in ids[1:])
            row = ViewRow(view="proven", profile_id=ids[0], user_id=user, created_at=1, updated_at=1,
                          record=EMPTY, choices={}, absorbed=absorbed, head_id=ids[0])  # fmt: skip
            await transaction.view_profiles.put([row])
            await transaction.connection.execute(_LOG, self._bench.dataset_id, ids, self._base)
        self._base += self._size + 1

    async def _write_rows(self, transaction: Transaction, rows: list[FragmentRow]) -> None:
        await transaction.fragments.insert(rows)
        claims = (
            (claim.tenure, row.fragment.fragment_id, int(claim.level), claim.since)
            for row in rows
            for claim in row.fragment.claims
        )
        await transaction.fragments.put_claims(claims)
        ids = [(row.fragment.browser, row.fragment.fragment_id) for row in rows]
        browsers = {browser: BrowserFragments((item,), item, (item,)) for browser, item in ids if browser}
        await transaction.browsers.put(browsers, ())

    def _row(
        self, item: UUID, ids: list[UUID], number: int, address: str | None, user: str | None
    ) -> FragmentRow:
        seq = self._base + number + 1
        tenures = [] if address is None else [Tenure(Identifier("emailAddress", address))]
        fragment = Fragment(
            fragment_id=item,
            origin="user" if user is not None and item == ids[0] else "browser",
            began_at=seq,
            browser=Identifier(TRACKER, str(item)),
            claims=tuple(FragmentClaim(tenure, EvidenceLevel.PROVEN, seq, at=seq) for tenure in tenures),
            owner=None if user is None else Owner(user, seq, "sign_in"),
            seq=seq,
        )
        return FragmentRow(fragment=fragment, believed_id=item, own_id=item, proven_id=ids[0], values={},
                           updated_at=seq, created_at=seq)  # fmt: skip

    async def measured(self) -> list[float]:
        """The medians of each act, in ms."""
        middle = JoinPosition(2, -1, self._by_address[self._size // 2])
        acts: tuple[Callable[[], Awaitable[int]], ...] = (
            lambda: self._page(self._by_address, "proven", FIRST_JOIN),
            lambda: self._page(self._by_address, "proven", middle),
            lambda: self._relate(self._by_address, self._by_address, "proven"),
            lambda: self._page(self._of_user, "proven", FIRST_JOIN),
            lambda: self._relate(self._of_user, self._of_user, "proven"),
            lambda: self._relate(self._by_address, self._of_user, "proven"),
            lambda: self._page(self._by_address, "all", FIRST_JOIN),
            lambda: self._relate(self._by_address, self._by_address, "all"),
        )
        return [median([await _timed(act) for _ in range(REPEATS)]) for act in acts]

    async def _page(self, ids: list[UUID], view: View, after: JoinPosition) -> int:
        explanations = self._bench.services.profiles.explanations
        part = await explanations.find(self._ref, str(self._rng.choice(ids)), view)
        assert part is not None
        page = await explanations.joins(self._ref, part, after=after, limit=PAGE)
        assert page.joins
        return len(page.joins)

    async def _relate(self, ones: list[UUID], others: list[UUID], view: View) -> int:
        explanations = self._bench.services.profiles.explanations
        asked = [str(self._rng.choice(ones)), str(self._rng.choice(others))]
        one, other = [await explanations.find(self._ref, text, view) for text in asked]
        assert one is not None
        assert other is not None
        found = await explanations.relation(self._ref, one, other, sees_all=False)
        assert found.is_complete
        assert found.is_one_profile == (ones is others)
        return len(found.path)


async def _timed(act: Callable[[], Awaitable[int]]) -> float:
    started = time.perf_counter()
    await act()
    return (time.perf_counter() - started) * 1000
