"""`oneself serve`: start, stop, crash, restart, and several workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import stat
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from conftest import NewDatabase, StartService
from oneself.processes import worker
from oneself.settings import Settings
from support.commands import clean_environment, run_command
from support.service import RunningService
from support.waiting import until

DEADLINE_S = 30.0


def test_without_settings_it_creates_its_database_and_answers(start_service: StartService) -> None:
    service = start_service(bootstrap=False)
    assert _ready(service)
    assert "organisation  none yet" in service.log()
    assert f"console       {service.base_url}/console/" in service.log()
    assert "administrator none yet; create one with: oneself console-user create NAME" in service.log()
    assert service.stop() == 0
    assert _processes_in(service.data_dir) == []


def test_a_first_start_names_the_administrator_of_the_console(service: RunningService) -> None:
    assert "administrator admin" in service.log()


def test_secret_files_are_readable_by_the_owner_only(start_service: StartService) -> None:
    service = start_service(environment={"ONESELF_SECRET_KEY": ""})
    for name in ("secret.key", "postgres.password"):
        assert stat.S_IMODE((service.data_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((service.data_dir / "postgres").stat().st_mode) == 0o700
    url = _embedded_url(service)
    assert _refused(url.replace(url.split(":")[2].split("@")[0], "guessed"))
    assert _refused("postgresql://oneself@" + url.split("@")[1])


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_stops_it_after_the_requests_in_flight(
    start_service: StartService, signum: signal.Signals, workers: int
) -> None:
    service = start_service(workers=workers)
    with ThreadPoolExecutor() as pool:
        answer, release = _request_that_waits(service, pool)
        assert service.process is not None
        service.process.send_signal(signum)
        _until(lambda: not _accepts(service))
        assert not answer.done()
        release()
        assert answer.result(DEADLINE_S).status_code == 200
    assert service.wait() == 0
    assert _processes_in(service.data_dir) == []


def test_a_bootstrap_survives_a_restart_and_happens_once(start_service: StartService) -> None:
    service = start_service()
    before = _counts(service)
    assert service.stop() == 0
    service.start()
    assert _counts(service) == before
    assert before["organisation"] == before["application"] == 1


def test_a_port_can_be_bound_once() -> None:
    with worker.bind(Settings(port=0)) as listener, pytest.raises(OSError, match="in use"):
        worker.bind(Settings(port=listener.getsockname()[1]))


def test_metrics_add_up_over_workers(start_service: StartService) -> None:
    service = start_service(workers=2)
    for _ in range(20):
        # A new connection for each request, so that both workers get some.
        assert httpx.get(f"{service.base_url}/health").status_code == 200
    line = 'oneself_http_requests_total{method="GET",route="/health",status="200"} '
    counted = httpx.get(f"{service.base_url}/metrics").text.partition(line)[2]
    assert float(counted.partition("\n")[0]) >= 20


@pytest.mark.parametrize("workers", [1, 2])
def test_after_kill_9_the_next_start_recovers(start_service: StartService, workers: int) -> None:
    service = start_service(workers=workers)
    before = _counts(service)
    orphans = _workers(service)
    service.kill()
    service.start()
    assert _ready(service)
    assert _counts(service) == before
    _until(lambda: not any(_is_alive(orphan) for orphan in orphans))
    assert service.stop() == 0
    assert _processes_in(service.data_dir) == []


def test_after_kill_9_of_all_processes_the_next_start_recovers(start_service: StartService) -> None:
    service = start_service()
    before = _counts(service)
    service.kill()
    for process in _processes_in(service.data_dir):
        process.kill()
    service.start()
    assert _counts(service) == before


def test_a_stale_pid_file_with_the_id_of_another_program_is_ignored(start_service: StartService) -> None:
    service = start_service()
    service.kill()
    pid_file = service.data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    for process in _processes_in(service.data_dir):
        process.kill()
    _until(lambda: not _processes_in(service.data_dir))
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    service.start()
    assert _ready(service)


def test_a_dead_embedded_server_is_restarted(start_service: StartService) -> None:
    service = start_service()
    postmaster = int((service.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    _until(lambda: "starting it again" in service.log())
    _until(lambda: _ready(service))
    assert _counts(service)["organisation"] == 1


def test_a_dead_worker_is_replaced(start_service: StartService) -> None:
    service = start_service(workers=2)
    _workers(service)[0].kill()
    _until(lambda: "worker_replaced" in service.log())
    assert _ready(service)
    assert service.stop() == 0


def test_a_second_service_on_the_folder_exits_with_75(start_service: StartService) -> None:
    service = start_service()
    second = run_command("serve", "--port", "0", "--data-dir", str(service.data_dir))
    assert second.returncode == 75
    assert f"already works on {service.data_dir}" in second.stderr
    assert "Traceback" not in second.stderr
    assert _ready(service)


def test_a_port_in_use_is_named_in_the_error(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_command("serve", "--port", str(port), "--data-dir", str(data_dir))
    assert result.returncode == 78
    assert f"port {port}: the port is in use" in result.stderr


def test_a_given_database_is_migrated_and_used(
    start_service: StartService, service_database_url: str
) -> None:
    service = start_service(database_url=service_database_url)
    assert _ready(service)
    assert not (service.data_dir / "postgres").exists()


async def test_two_services_can_share_a_given_database(
    start_service: StartService, new_database: NewDatabase
) -> None:
    url = await new_database()
    services = [start_service(database_url=url, name=name) for name in ("one", "two")]
    assert all(_ready(service) for service in services)
    assert (await asyncio.to_thread(_counts, services[0]))["application"] == 1


def test_commands_work_beside_a_running_service_and_without_one(start_service: StartService) -> None:
    service = start_service()
    assert service.command("doctor").returncode == 0
    assert _ready(service)
    service.stop()
    assert service.command("doctor").returncode == 0
    assert _processes_in(service.data_dir) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("token-key", "rotate"),
        ("org", "rotate-keys", "acme"),
        ("org", "create", "other"),
        ("serve", "--port", "0"),
    ],
    ids=" ".join,
)
def test_commands_need_the_secret_key_of_the_database(
    service: RunningService, data_dir: Path, arguments: tuple[str, ...]
) -> None:
    variables = {**clean_environment(), "ONESELF_DATABASE_URL": str(service.database_url)}
    before = _counts(service)
    result = run_command(*arguments, "--data-dir", str(data_dir), environment=variables)
    assert result.returncode == 78
    assert "The secret key of this database is missing: ONESELF_SECRET_KEY is not set" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (data_dir / "secret.key").exists()
    assert _counts(service) == before


def test_erasure_needs_the_secret_key_of_the_service(service: RunningService) -> None:
    arguments = ("person", "erase", str(uuid.uuid4()), "--org", service.org, "--yes")
    assert service.command(*arguments).returncode == 1, "the person does not exist"
    result = service.command(*arguments, "--secret-key", "x" * 40)
    assert result.returncode == 78
    assert "ONESELF_SECRET_KEY is not the secret key that this database was set up with" in result.stderr
    assert "x" * 40 not in result.stderr


def test_a_worker_with_another_secret_key_exits_with_78(service: RunningService) -> None:
    settings = Settings(port=0, secret_key="x" * 40)
    parent_end, child_end = multiprocessing.get_context("spawn").Pipe()
    with worker.bind(settings) as listener, parent_end, child_end:
        arguments = (settings, service.database_url, listener, child_end)
        process = multiprocessing.get_context("spawn").Process(target=worker.run_worker, args=arguments)
        process.start()
        process.join(DEADLINE_S)
    assert process.exitcode == 78


def test_the_generated_key_of_the_embedded_database_is_not_replaced(start_service: StartService) -> None:
    service = start_service(environment={"ONESELF_SECRET_KEY": ""})
    assert service.command("token-key", "rotate").returncode == 0
    service.stop()
    (service.data_dir / "secret.key").rename(service.data_dir / "elsewhere")
    result = service.command("token-key", "rotate")
    assert result.returncode == 78
    assert "secret.key does not exist" in result.stderr
    assert not (service.data_dir / "secret.key").exists()
    (service.data_dir / "elsewhere").rename(service.data_dir / "secret.key")
    assert service.command("token-key", "rotate").returncode == 0


def test_a_long_path_to_the_data_folder_works(start_service: StartService) -> None:
    service = start_service(name="a-folder-with-quite-a-long-name-" * 5)
    assert _ready(service)
    socket_folder = Path((service.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[4])
    assert socket_folder.parent != service.data_dir
    assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert service.stop() == 0
    assert not socket_folder.exists()


def test_a_refused_database_connection_is_one_sentence(data_dir: Path, server_url: str) -> None:
    unknown_database = server_url.replace("/postgres?", "/no_such_database?")
    result = run_command(
        "serve", "--port", "0", "--data-dir", str(data_dir), "--database-url", unknown_database
    )
    assert result.returncode == 76
    assert "no_such_database" in result.stderr
    assert "Traceback" not in result.stderr


def _ready(service: RunningService) -> bool:
    return httpx.get(f"{service.base_url}/cds/api/v1/ready", timeout=DEADLINE_S).status_code == 200


def _accepts(service: RunningService) -> bool:
    url = httpx.URL(service.base_url)
    try:
        socket.create_connection((url.host, url.port or 80), timeout=DEADLINE_S).close()
    except OSError:
        return False
    return True


def _embedded_url(service: RunningService) -> str:
    from oneself.store.embedded.server import Embedded

    return Embedded(service.data_dir.resolve()).url


def _request_that_waits(
    service: RunningService, pool: ThreadPoolExecutor
) -> tuple[object, Callable[[], None]]:
    """A token request that waits for a locked table until `release` is called."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(_embedded_url(service)))
    loop.run_until_complete(connection.execute("begin; lock table oneself.application"))
    answer = pool.submit(_ask_for_a_token, service)
    waiting = "select count(*) from pg_locks where not granted"
    _until(lambda: loop.run_until_complete(connection.fetchval(waiting)) > 0)

    def release() -> None:
        loop.run_until_complete(connection.execute("rollback"))
        loop.run_until_complete(connection.close())
        loop.close()

    return answer, release


def _ask_for_a_token(service: RunningService) -> httpx.Response:
    url = f"{service.base_url}/t/{service.org}/oauth2/token"
    form = {"grant_type": "client_credentials"}
    return httpx.post(url, data=form, auth=(service.client_id, service.client_secret), timeout=DEADLINE_S)


def _refused(url: str) -> bool:
    async def attempt() -> bool:
        try:
            connection = await asyncpg.connect(url)
        except asyncpg.InvalidPasswordError:
            return True
        await connection.close()
        return False

    return asyncio.run(attempt())


def _counts(service: RunningService) -> dict[str, int]:
    async def count() -> dict[str, int]:
        connection = await asyncpg.connect(service.database_url or _embedded_url(service))
        try:
            tables = ("organisation", "application", "console_user", "console_role", "dataset")
            return {
                name: await connection.fetchval(f"select count(*) from oneself.{name}") for name in tables
            }
        finally:
            await connection.close()

    return asyncio.run(count())


def _workers(service: RunningService) -> list[psutil.Process]:
    assert service.process is not None
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def _processes_in(folder: Path) -> list[psutil.Process]:
    """Running processes whose command line contains the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder.resolve()) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; a network error means that it does not hold yet."""
    until(condition, "the condition was not met in time", DEADLINE_S, ignoring=httpx.HTTPError)
