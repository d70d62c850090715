"""The embedded server: the first process that uses it starts it, the last one stops it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from oneself.errors import DataFolderInUse, Fatal, UnsupportedDatabase
from oneself.store.database import wait_until_ready
from oneself.store.embedded.server import Embedded, hold_data_folder, is_data_folder_locked

spawn = multiprocessing.get_context("spawn")
DEADLINE_S = 60.0


async def test_the_last_user_stops_the_server(data_dir: Path) -> None:
    first = Embedded.attach(data_dir)
    second = Embedded.attach(data_dir)
    assert first.url == second.url
    first.stop()
    await wait_until_ready(second.url)
    second.stop()
    assert not second.is_running


def test_concurrent_processes_share_one_server(data_dir: Path) -> None:
    pipes = [spawn.Pipe() for _ in range(4)]
    users = [spawn.Process(target=_use, args=(data_dir, child_end)) for _, child_end in pipes]
    for user in users:
        user.start()
    postmasters = {_receive_pid(parent_end) for parent_end, _ in pipes}
    assert len(postmasters) == 1
    for parent_end, _ in pipes:
        parent_end.send("stop")
    for user in users:
        user.join(DEADLINE_S)
        assert user.exitcode == 0
    assert not Embedded(data_dir.resolve()).is_running


def test_a_killed_process_no_longer_keeps_the_server_running(data_dir: Path) -> None:
    parent_end, child_end = spawn.Pipe()
    user = spawn.Process(target=_use, args=(data_dir, child_end))
    user.start()
    postmaster = _receive_pid(parent_end)
    user.kill()
    user.join(DEADLINE_S)
    other = Embedded.attach(data_dir)
    assert int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]) == postmaster
    other.stop()
    assert not other.is_running


def test_the_remains_of_an_interrupted_first_start_are_removed(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18")
    embedded = Embedded.attach(data_dir)
    embedded.stop()
    assert not (data_dir / "postgres.new").exists()


def test_a_cluster_of_another_version_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(UnsupportedDatabase, match="created by PostgreSQL 16"):
        Embedded.attach(data_dir)


def test_a_server_that_cannot_start_reports_the_reason(data_dir: Path) -> None:
    Embedded.attach(data_dir).stop()
    with (data_dir / "postgres" / "postgresql.conf").open("a") as configuration:
        configuration.write("max_connections = nonsense\n")
    with pytest.raises(Fatal, match="max_connections"):
        Embedded.attach(data_dir)


def test_only_one_service_holds_a_data_folder(data_dir: Path) -> None:
    assert not is_data_folder_locked(data_dir)
    with hold_data_folder(data_dir):
        assert is_data_folder_locked(data_dir)
        with pytest.raises(DataFolderInUse, match=str(os.getpid())), hold_data_folder(data_dir):
            pass
    assert not is_data_folder_locked(data_dir)


def _use(folder: Path, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    embedded = Embedded.attach(folder)
    pipe.send(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
    pipe.recv()
    embedded.stop()


def _receive_pid(pipe: Connection) -> int:
    assert pipe.poll(DEADLINE_S)
    pid: int = pipe.recv()
    return pid
