"""Actors of a Ray cluster: the same store, and a clip that kills an actor is a row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.expressions import DIE, unless_there
from tests.support.media_files import tone, write_sound
from traitscope.errors import ClipError
from traitscope.features.pool import OUT_OF_MEMORY, Crash
from traitscope.features.preparation import prepare
from traitscope.features.ray_pool import ray_workers
from traitscope.features.request import Request, make_request
from traitscope.features.store import Store
from traitscope.ray_cluster import open_cluster
from traitscope.registry import typed
from traitscope.types import Clip, Corpus, Target

pytestmark = pytest.mark.slow
DEADLY = "tests.support.deadly_extractor"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of this machine for all tests: who asks for another gets it."""
    with open_cluster(why="these tests", cpus=2) as ray:
        yield ray


def contents(store: Store, key: str) -> dict[str, tuple[Any, ...]]:
    rows = {row.clip: row for row in store.rows(key)}
    found = {}
    for clip, row in rows.items():
        values = store.read(key, clip).values if row.status == "ok" else None
        kept = None if values is None else np.asarray(values).tobytes()
        found[clip] = (row.status, row.rows, row.coverage, row.media_bytes, row.span, kept)
    return found


def requests(name: str) -> list[Request]:
    return [make_request(name, {}, typed=typed(streams=[name]))]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.chdir(tmp_path)  # paths are relative, as of a command line
    clips = []
    for clip in ("a", "b", "deadly", "c", "d", "e"):
        write_sound(tmp_path / f"{clip}.wav", tone(1))
        clips.append(Clip(clip, path=Path(f"{clip}.wav")))
    clips.append(Clip("gone", path=Path("gone.wav")))
    return Corpus("small", "apparent", (Target("openness", 0, 1),), tuple(clips))


def test_tasks_that_kill_their_actors_are_tried_once_more(cluster: Any, tmp_path: Path) -> None:
    short = "exec('raise MemoryError')"
    tasks = ["1", unless_there(tmp_path / "tried", DIE), "3", DIE, short]
    with ray_workers("local", 2, why="this test") as (run, workers):
        answers = dict(run(eval, tasks, workers=workers, tries=2))
        assert isinstance(answers.pop(3), Crash)
        assert answers == {0: 1, 1: 7, 2: 3, 4: Crash(OUT_OF_MEMORY)}
        task = "exec(\"from traitscope.errors import ClipError; raise ClipError('x', status='s')\")"
        with pytest.raises(ClipError, match="x"):
            list(run(eval, [task], workers=1, tries=2))


def test_a_store_made_by_actors_is_the_one_made_without(
    cluster: Any, corpus: Corpus, tmp_path: Path
) -> None:
    plain, rayed = Store(tmp_path / "plain"), Store(Path("rayed"))
    wanted = requests("short_term")
    one = prepare(corpus, wanted, store=plain, workers=0)
    two = prepare(corpus, wanted, store=rayed, workers=2, ray="local")
    key = wanted[0].key
    assert two.extracted == one.extracted == 6
    assert contents(plain, key) == contents(rayed, key)
    assert prepare(corpus, wanted, store=rayed, ray="nobody:1").skipped == 6


def test_a_clip_that_kills_its_actor_is_a_row(cluster: Any, corpus: Corpus, tmp_path: Path) -> None:
    wanted = requests(DEADLY)
    store = Store(tmp_path / "store")
    prepare(corpus, wanted, store=store, workers=2, ray="local")
    statuses = {clip: row.status for clip, row in store.statuses(wanted[0].key).items()}
    assert statuses == dict.fromkeys("abcde", "ok") | {"deadly": "crashed", "gone": "missing"}
