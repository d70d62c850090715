"""Last of all: what every test of this folder left behind folds from the log to what is there."""

from __future__ import annotations

from support.service import RunningService
from wire.client import fresh
from wire.events.client import Dataset, new_device

VISITORS = 60


def test_the_log_and_the_state_agree(web: Dataset, service: RunningService) -> None:
    for _ in range(VISITORS):
        page, device = web.page(), new_device()
        user = page.send(id=fresh("w"), identities={"emailAddress": fresh("e"), "loyaltyId": fresh("L")})
        web.send({"user": {"anonymousId": device}})
        answer = web.send({"user": {"anonymousId": device, "encryptedId": page.token}})
        assert answer["resolvedUserId"] == user
    said = service.command("verify", deadline_s=300)
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
