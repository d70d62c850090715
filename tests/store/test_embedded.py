"""The embedded server in any number of processes: the first starts it, the last one stops it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
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


def test_many_processes_may_come_and_go_at_once(data_dir: Path) -> None:
    pipes = [spawn.Pipe() for _ in range(4)]
    users = [spawn.Process(target=_use, args=(data_dir, theirs)) for _, theirs in pipes]
    for user in users:
        user.start()
    postmasters = {_answer(ours) for ours, _ in pipes}
    assert len(postmasters) == 1
    for ours, _ in pipes:
        ours.send("go")
    for user in users:
        user.join(DEADLINE_S)
        assert user.exitcode == 0
    assert not psutil.pid_exists(postmasters.pop()) or not Embedded(data_dir.resolve()).is_running


def test_a_killed_user_counts_no_more(data_dir: Path) -> None:
    ours, theirs = spawn.Pipe()
    user = spawn.Process(target=_use, args=(data_dir, theirs))
    user.start()
    postmaster = _answer(ours)
    user.kill()
    user.join(DEADLINE_S)
    other = Embedded.attach(data_dir)
    assert int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]) == postmaster
    other.stop()
    assert not other.is_running


def test_an_interrupted_first_start_leaves_nothing_half_made(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18")
    embedded = Embedded.attach(data_dir)
    embedded.stop()
    assert not (data_dir / "postgres.new").exists()


def test_a_cluster_of_another_version_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(UnsupportedDatabase, match="made by PostgreSQL 16"):
        Embedded.attach(data_dir)


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
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


def _answer(pipe: Connection) -> int:
    assert pipe.poll(DEADLINE_S)
    answer: int = pipe.recv()
    return answer
