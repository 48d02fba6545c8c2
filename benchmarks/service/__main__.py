"""`traitscope serve` under load: clients that send again as soon as they are answered.

Run with ``python -m benchmarks.service`` from the repository. The run is small (sound, tones of
half a second), so that what is measured is the service: its line, its processes, its memory. The
server and its workers are processes of their own; what they take is read from the system.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median

import httpx
import psutil

from benchmarks.figures import figure
from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound
from tests.support.serving import Served, serving

_MIB = 2**20
_FLAT = 0.05
"""By how much the last quarter's memory may differ from the second's."""


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    options = _options()
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f} before the run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = train_listener(folder)
        sound = folder / "tone.wav"
        write_sound(sound, tone(options.tone, hertz=300.0))
        if options.ray:
            return _compare_replicas(run, sound, options)
        words = ["--workers", options.workers, "--queue", options.queue, "--per-minute", 10**6]
        with serving(run, *words, folder=folder / "uploads") as served:
            load = Load(served, sound.read_bytes(), options.seconds)
            load.run(options.clients)
            left = len(served.uploads())
    print(f"load {os.getloadavg()[0]:.1f} after the run\n")
    return load.report(options, left)


def _compare_replicas(run: Path, sound: Path, options: argparse.Namespace) -> int:
    """Print what one replica of Ray scores in the same time as two; 1 if anything went wrong."""
    rates, wrong = {}, 0
    words = ["--queue", options.queue, "--per-minute", 10**6, "--ray", "--replicas"]
    for replicas in (1, 2):
        folder = run.parent / f"uploads-{replicas}"
        with serving(run, *words, replicas, folder=folder) as served:
            load = Load(served, sound.read_bytes(), options.seconds)
            load.run(options.clients)
        times = sorted(load.answered)
        rates[replicas] = len(times) / options.seconds
        wrong += sum(load.statuses.values()) - len(times) - load.statuses["503 with Retry-After"]
        ends = f"p50 {median(times):.2f} s, p95 {times[int(0.95 * len(times))]:.2f} s"
        rate = f"{rates[replicas]:.1f} scored per second"
        print(f"{replicas} replicas: {rate}, {ends}, {dict(load.statuses)}")
    print(f"two replicas score {rates[2] / rates[1]:.2f} times what one does")
    print(f"load {os.getloadavg()[0]:.1f} after the run")
    return int(wrong > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--queue", type=int, default=16, help="fewer than clients: some are refused"
    )
    parser.add_argument("--tone", type=float, default=0.5, help="seconds of each recording")
    parser.add_argument(
        "--ray", action="store_true", help="one replica of Ray against two, instead"
    )
    parser.add_argument("--short", action="store_true", help="twenty seconds")
    options = parser.parse_args()
    if options.short:
        options.seconds = 20.0
    return options


class Load:
    """Clients at work, and what came of it."""

    def __init__(self, served: Served, content: bytes, seconds: float) -> None:
        self._served, self._content, self._seconds = served, content, seconds
        self.statuses: Counter[str] = Counter()
        self.answered: list[float] = []
        self.memory: list[float] = []

    def run(self, clients: int) -> None:
        """Send from so many threads until the time is over."""
        end = time.monotonic() + self._seconds
        threads = [threading.Thread(target=self._send, args=(end,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            self.memory.append(self._taken())
            time.sleep(0.5)
        for thread in threads:
            thread.join()

    def _send(self, end: float) -> None:
        with self._served.client() as client:
            while time.monotonic() < end:
                begun = time.monotonic()
                try:
                    self._one(client, begun)
                except httpx.HTTPError as error:
                    self.statuses[type(error).__name__] += 1

    def _one(self, client: httpx.Client, begun: float) -> None:
        files = {"file": ("tone.wav", self._content)}
        sent = client.post("/v1/predictions", params={"wait": 60}, files=files)
        status = str(sent.status_code)
        if sent.status_code == 202:  # it waits longer than a request may
            link = sent.json()["links"]["self"]
            while (job := client.get(link, params={"wait": 60}).json())["state"] != "done":
                if job["state"] == "failed":
                    break
            status = "200" if job["state"] == "done" else "failed"
        if sent.status_code == 503:
            status = "503 with Retry-After" if "retry-after" in sent.headers else "503 without"
            # As a client that minds it, but sooner: the line is to stay full.
            time.sleep(min(float(sent.headers.get("retry-after", 1)), 1.0))
        self.statuses[status] += 1
        if status == "200":
            self.answered.append(time.monotonic() - begun)

    def _taken(self) -> float:
        """MiB of the server and its workers."""
        server = psutil.Process(self._served.process.pid)
        every = [server, *server.children(recursive=True)]
        return sum(one.memory_info().rss for one in every) / _MIB

    def report(self, options: argparse.Namespace, left: int) -> int:
        """Print what was found, and say which goals are met."""
        times = sorted(self.answered)
        rows = [(f"answers of {name}", f"{count}") for name, count in self.statuses.most_common()]
        if times:
            rows.append(("scored per second", f"{len(times) / options.seconds:.1f}"))
            rows.append(("seconds to an answer, p50", f"{median(times):.2f}"))
            rows.append(("seconds to an answer, p95", f"{times[int(0.95 * len(times))]:.2f}"))
        quarter = max(1, len(self.memory) // 4)
        second, last = (median(self.memory[i * quarter : (i + 1) * quarter]) for i in (1, 3))
        change = last / second - 1.0
        rows.append(("memory of all processes, second quarter, MiB", f"{second:.0f}"))
        rows.append(("memory of all processes, last quarter, MiB", f"{last:.0f} ({change:+.1%})"))
        for what, found in rows:
            print(f"{what:50}{found:>18}")
        figure(
            "scored a second, recordings of half a second", len(times) / options.seconds, unit=""
        )
        figure("memory, last quarter by the second", last / second, most=1 + _FLAT)
        figure("recordings left behind", left, most=0, unit="")
        kinds = set(self.statuses) - {"200", "503 with Retry-After"}
        goals = [
            ("no other answer than a score, or 503 with Retry-After", not kinds),
            ("memory is flat", abs(change) <= _FLAT),
            ("no recording is left", not left),
        ]
        print()
        for goal, met in goals:
            print(f"{'met ' if met else 'MISSED'} {goal}")
        return int(not all(met for _, met in goals))


if __name__ == "__main__":
    sys.exit(main())
