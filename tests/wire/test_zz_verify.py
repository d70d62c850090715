"""DESIGN §2: whatever the tests before this one did, the log folds to the state that answers."""

from __future__ import annotations

from support.service import RunningService
from wire.client import Cds


def test_the_log_folds_to_the_live_state_of_every_organisation(cds: Cds, service: RunningService) -> None:
    cds.create()
    said = service.command("verify", deadline_s=300)
    assert said.returncode == 0, said.stdout[-3000:] + said.stderr[-3000:]
