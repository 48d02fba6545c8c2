"""Three hundred hostile uploads to a real server, and what schemathesis makes of its document."""

import io
import random
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.test_application import until
from tests.support.hostile_media import CALLS, bmp_bomb, gif_bomb, jpeg_bomb, png_bomb, webp_bomb
from tests.support.listening import train_listener
from tests.support.media_files import tone, write_sound
from tests.support.serving import Served, serving

pytestmark = pytest.mark.slow
JOBS = "/v1/predictions"
SECRET = "only-this-machine-knows-4711"
UPLOADS = 300
WIDE = {"png": png_bomb, "bmp": bmp_bomb, "webp": webp_bomb}
MOST_MIB = 1500
"""Of one process of the server: what PyTorch takes, and one recording."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    write_sound(path, tone(0.5, hertz=300.0))
    return path.read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "secret.mp4").write_text(SECRET)
    run = train_listener(tmp_path_factory.mktemp("listener"))
    limits = ["--upload-mib", 2, "--per-minute", 100_000, "--queue", 1000]
    with serving(run, *limits, folder=folder / "uploads") as one:
        yield one


def hostile(sound: bytes, secret: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of files, over and over, each a little other."""
    rng = random.Random(0)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../x.mp4", sound)
    calls = [
        (name, body.replace(b"{0}.", b"%s." % str(secret.with_suffix("")).encode()))
        for name, body in CALLS.items()
    ]
    bombs = [
        *((f"huge.{kind}", make(100_000, 100_000)) for kind, make in WIDE.items()),
        ("huge.jpg", jpeg_bomb(65_535, 65_535)),  # the most that its header can say
        ("huge.gif", gif_bomb(65_535, 65_535)),
    ]
    endless = sound[:4] + b"\xff\xff\xff\xff" + sound[8:40] + b"\xff\xff\xff\xff" + sound[44:]
    names = ["../../etc/passwd", "..\\..\\boot.ini", "a\x01b.mp4", "/dev/stdin", "pipe:0", "-i.mp4"]
    plain = [
        *calls,
        *bombs,
        ("endless.wav", endless),
        ("archive.mp4", archive.getvalue()),
        ("polyglot.mp4", sound + archive.getvalue()),
        ("polyglot.html", b"<html><script>alert(1)</script>" + sound),
        *((name, sound) for name in names),
        ("large.wav", sound + bytes(3 * 2**20)),
    ]
    yield from plain
    while True:
        content = bytearray(sound)
        for _ in range(rng.randint(1, 30)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        yield f"cut{rng.random()}.wav", bytes(content[: rng.randrange(len(content))])


def send(address: str, one: tuple[str, bytes]) -> httpx.Response:
    name, content = one
    with httpx.Client(base_url=address, timeout=600) as client:
        files = {"file": (name, content, "video/mp4")}
        sent = client.post(JOBS, files=files, params={"wait": 60})
        while sent.status_code == 202 or sent.json().get("state") in {"queued", "running"}:
            sent = client.get(sent.json()["links"]["self"], params={"wait": 60})
        return sent


def test_hostile_uploads_get_a_reason_and_nothing_else(served: Served, sound: bytes) -> None:
    secret = served.folder.parent / "secret.mp4"
    uploads = hostile(sound, secret)
    some = [next(uploads) for _ in range(UPLOADS)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda one: send(served.address, one), some))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 400, 413, 415, 422}, statuses
    for (name, _), answer in zip(some, answers, strict=True):
        text = answer.text
        assert SECRET not in text
        assert not re.search(r"Traceback|File \\?\"|/uploads|/tmp/|site-packages", text), (
            name,
            text,
        )
        if answer.status_code != 200:
            tree = answer.json()
            assert (tree.get("problem") or tree)["reason"]
    until(lambda: not served.uploads())
    assert served.process.poll() is None
    for process in [served.process.pid, *served.workers()]:
        assert psutil.Process(process).memory_info().rss < MOST_MIB * 2**20
    assert send(served.address, ("tone.wav", sound)).status_code == 200


def test_no_request_of_the_document_is_a_fault_of_the_server(served: Served) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_url(f"{served.address}/v1/openapi.json")
    how = {
        "max_examples": 25,
        "deadline": None,
        "phases": [Phase.explicit, Phase.generate],
        "suppress_health_check": list(HealthCheck),
        "database": None,
        "derandomize": True,
    }
    asked: Counter[int] = Counter()
    for operation in schema.get_all_operations():
        found = operation.ok()

        @settings(**how)
        @given(case=found.as_strategy())
        def probe(case: object) -> None:
            answer = case.call(base_url=served.address, timeout=600)  # type: ignore[attr-defined]
            asked[answer.status_code] += 1
            assert answer.status_code < 500, answer.text

        probe()
    assert sum(asked.values()) >= 100
    assert asked[404]
