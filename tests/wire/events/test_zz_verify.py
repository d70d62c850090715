"""Last of all: what every test of this folder left behind folds from the log to what is there."""

from __future__ import annotations

from support.service import RunningService


def test_the_log_and_the_state_agree(service: RunningService) -> None:
    said = service.command("verify", deadline_s=300)
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
