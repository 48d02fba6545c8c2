"""The server as its users start it: equal scores, kills, hostile uploads, full disks, stops."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.service.test_application import until
from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound
from tests.support.serving import COMMAND, Served, serving
from traitscope.prediction.clips import predict

pytestmark = pytest.mark.slow
JOBS = "/v1/predictions"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_listener(tmp_path_factory.mktemp("listener"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    write_sound(path, tone(0.5, hertz=300.0))
    return path


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "uploads"
    limits = ["--upload-mib", 8, "--per-minute", 100_000, "--queue", 400]
    with serving(run, *limits, folder=folder) as one:
        yield one


def score(served: Served, path: Path) -> float:
    with served.client() as client, path.open("rb") as file:
        sent = client.post(JOBS, files={"file": file}, params={"wait": 60})
        while sent.json().get("state") in {"queued", "running"}:
            sent = client.get(sent.json()["links"]["self"], params={"wait": 60})
    assert sent.status_code == 200, sent.text
    value = sent.json()["results"][0]["prediction"]["clips"][0]["scores"]["warmth"]
    return float(value)


def test_scores_are_those_of_predict(served: Served, run: Path, sound: Path) -> None:
    assert score(served, sound) == predict(run, sound)[0].scores["warmth"]
    assert not served.uploads()


def test_a_killed_worker_costs_its_own_job_a_retry(served: Served, sound: Path) -> None:
    before = score(served, sound)
    (worker,) = served.workers()
    os.kill(worker, signal.SIGKILL)
    assert score(served, sound) == before
    assert served.workers() != [worker]
    with served.client() as client:
        assert client.get("/v1/ready").status_code == 200


def test_slow_senders_and_wrong_lengths_hold_nothing(served: Served, sound: Path) -> None:
    host, port = served.address.removeprefix("http://").split(":")
    head = f"POST {JOBS} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: audio/wav\r\n"
    starts = (b"", b"GET / HT", head.encode(), f"{head}Content-Length: 999\r\n\r\nRIFF".encode())
    waiting = [socket.create_connection((host, int(port))) for _ in range(40)]
    for number, connection in enumerate(waiting):
        connection.sendall(starts[number % len(starts)])
    score(served, sound)
    for connection in waiting:
        connection.close()
    until(lambda: not served.uploads())


def test_a_server_that_is_told_to_stop_finishes_what_it_took(
    run: Path, sound: Path, tmp_path: Path
) -> None:
    with serving(run, folder=tmp_path / "uploads") as served, served.client() as client:
        content = sound.read_bytes()
        jobs = [client.post(JOBS, files={"file": content}).json()["links"] for _ in range(4)]
        with ExitStack() as streams:
            # Open before the signal: for who comes later it stays a few seconds only.
            news = [streams.enter_context(client.stream("GET", one["events"])) for one in jobs]
            served.process.send_signal(signal.SIGTERM)
            ends = [one.read().decode().split("event: ")[-1] for one in news]
        assert [end.partition("\n")[0] for end in ends] == ["done"] * 4
        assert served.process.wait() == 0
    assert not list((tmp_path / "uploads").iterdir())


def test_a_killed_server_leaves_no_process_and_the_next_one_no_file(
    run: Path, sound: Path, tmp_path: Path
) -> None:
    place = tmp_path / "uploads"
    with serving(run, "--keep", 10, folder=place) as served:
        with served.client() as client:
            sent = client.post(JOBS, files={"file": sound.read_bytes()}).json()
        workers = [psutil.Process(worker) for worker in served.workers()]
        assert served.uploads()
        served.process.kill()
        served.process.wait()
        psutil.wait_procs(workers)
        assert not any(worker.is_running() for worker in workers)
    with serving(run, folder=place) as served, served.client() as client:
        assert not served.uploads()
        forgotten = client.get(sent["links"]["self"])
        assert (forgotten.status_code, forgotten.json()["error"]) == (404, "unknown")


def test_a_full_disk_is_told_and_nothing_hangs(run: Path, sound: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with serving(run, "--upload-mib", 8, "--spare-mib", 1, folder=disk) as served:
            (disk / "other").write_bytes(bytes(10 * 2**20))
            with served.client() as client:
                full = client.post(JOBS, files={"file": bytes(4 * 2**20)})
                assert (full.status_code, full.json()["error"]) == (503, "no_space")
                assert full.headers["retry-after"]
                assert client.get("/v1/health").status_code == 200
            (disk / "other").unlink()
            score(served, sound)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "There is no folder "),
        (["{run}", "{run}"], "named twice"),
        (["{run}", "--certificate", "{sound}"], "TLS takes both"),
        (["{run}", "--certificate", "{sound}", "--ray"], "TLS takes both"),
        (["{run}", "--proxy", "--ray"], "--proxy has no effect with --ray"),
        (["{run}", "--workers", "2", "--ray"], "say --replicas"),
        (["{run}", "--replicas", "2"], "say --ray as well"),
        (["{run}", "--limit", "pixel=3"], "did you mean 'pixels'"),
        (["{run}", "--upload-mib", "100000000"], "Name another place with --folder"),
        (["{run}", "--port", "{taken}"], "Choose another with --port"),
        (["{run}", "--certificate", "{sound}", "--key", "{sound}"], "cannot be used for TLS"),
    ],
)
def test_what_cannot_work_is_told_before_it_listens(
    run: Path, sound: Path, arguments: list[str], words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        facts = {"run": run, "sound": sound, "taken": taken.getsockname()[1]}
        command = [*COMMAND, *(word.format(**facts) for word in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_many_clients_at_once_get_each_their_own(served: Served, tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.wav")
        write_sound(paths[-1], tone(0.5, hertz=200.0 + 60 * number))
    alone = [score(served, path) for path in paths]
    with ThreadPoolExecutor(12) as threads:
        together = list(threads.map(lambda path: score(served, path), paths * 4))
    assert together == alone * 4
    assert len(set(alone)) == len(alone)
