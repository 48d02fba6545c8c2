"""Servers for tests: the real one as a process of its own, and lanes that do as they are told."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from traitscope.service.bench import Order
from traitscope.service.lanes import Failure

COMMAND = [sys.executable, "-c", "from traitscope.cli import main; main()", "serve"]
CARD = {
    "name": "run",
    "model": "functionals",
    "kind": "apparent",
    "about": "apparent traits: what observers perceive",
    "corpus": "tones",
    "backend": None,
    "reads": ["audio"],
    "targets": [{"name": "openness", "label": "openness", "low": 0.0, "high": 1.0}],
    "note": "Not for decisions about people.",
    "not_for": ["ranking or comparing candidates"],
    "card": "# functionals",
}


def result(order: Order, **clip: Any) -> dict[str, Any]:
    """What a worker would give for an order."""
    whole: dict[str, Any] = {
        "clip": order.name,
        "path": "",
        "status": "ok",
        "reason": "",
        "scores": {"openness": 0.5},
        "coverage": {"short_term": 1.0},
        "notes": [],
        "backend": None,
        "intervals": {},
        "percentiles": {},
        "warnings": [],
        "person": None,
        "timeline": None,
        "variance": {},
    }
    facts = {name: CARD[name] for name in ("model", "kind", "corpus", "backend", "targets", "note")}
    document = {**facts, "schema_version": 1, "run": order.model, "covers": "", "left_out": []}
    prediction = {**document, "clips": [{**whole, **clip}]}
    return {"model": order.model, "prediction": prediction, "faces": []}


def evidence(order: Order) -> dict[str, Any]:
    """What a worker would give for an order to explain."""
    openness = {
        "target": "openness",
        "label": "openness",
        "score": 0.5,
        "reference": 0.4,
        "stream": "short_term",
        "seconds": [0.0, 1.0],
        "name": "energy",
        "region": "",
        "without": {"short_term": 0.1},
        "deletion": {"value": 0.02, "low": 0.01, "high": 0.03},
        "verdict": "better than random",
    }
    facts = {"clip": order.name, "path": "", "run": order.model, "notes": [], "coverage": {}}
    words = {"method": "by hand", "against": "nothing", "seconds": 1.0}
    made = {**{name: CARD[name] for name in ("model", "kind", "corpus")}, **facts, **words}
    html = f"<div class='evidence'>why {order.model}</div>"
    whole = {"status": "ok", "reason": "", "evidence": {**made, "targets": [openness]}}
    return {"model": order.model, **whole, "html": html}


def answered(order: Order) -> dict[str, Any]:
    """What a worker would give for either."""
    return evidence(order) if order.task == "explanation" else result(order)


class ToldLane:
    """A lane that answers when it is let, and what it is told to."""

    def __init__(self, answer: Callable[[Order], Any] = answered) -> None:
        self.answer = answer
        self.stages = ["decoding"]
        self.go = threading.Event()
        self.go.set()
        self.orders: list[Order] = []
        self.contents: list[bytes] = []

    def start(self) -> list[dict[str, Any]]:
        return [CARD, {**CARD, "name": "words", "reads": ["text"]}]

    def do(self, order: Order, *, progress: Any, stopped: Any) -> dict[str, Any] | Failure:
        self.orders.append(order)
        self.contents.append(order.path.read_bytes() if order.path else b"")
        for stage in self.stages:
            progress(stage, 0.5)
        while not self.go.wait(0.02):
            if stopped():
                return Failure("cancelled", "taken back")
        answer: dict[str, Any] | Failure = self.answer(order)
        return answer

    def close(self) -> None:
        self.go.set()


@dataclass
class Served:
    """A server that listens."""

    address: str
    process: subprocess.Popen[str]
    folder: Path

    def client(self, **how: Any) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=600, **how)

    def workers(self) -> list[int]:
        """Its worker processes, told from the tracker of resources by what they import."""
        children = psutil.Process(self.process.pid).children()
        return [c.pid for c in children if "spawn_main" in " ".join(c.cmdline())]

    def uploads(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


@contextmanager
def serving(*arguments: object, folder: Path, **environment: str) -> Iterator[Served]:
    """`traitscope serve` with arguments, at a free port; its recordings lie in ``folder``."""
    words = [*map(str, arguments), "--port", "0", "--folder", str(folder)]
    folder.mkdir(exist_ok=True)
    log = folder.parent / f"{folder.name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, *words],
            stderr=file,
            stdout=file,
            text=True,
            env={**os.environ, **environment},
        )
    try:
        yield Served(_address(process, log), process, folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    while True:
        match = re.search(r"serving at (https?://\S+?)/ ", log.read_text())
        if match:
            return match[1]
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        threading.Event().wait(0.1)
