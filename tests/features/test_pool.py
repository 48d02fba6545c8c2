import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.expressions import DIE, unless_there
from tests.support.interrupts import hear_interrupts
from traitscope.errors import ClipError, TraitscopeError
from traitscope.features.pool import Crash, run
from traitscope.media import cores

# The work is `eval`, which every spawned process has, and the tasks are expressions.
EXIT = "__import__('os')._exit(3)"


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]


def test_results_come_with_the_place_of_their_task() -> None:
    tasks = [f"{n} ** 2" for n in range(20)]
    assert dict(run(eval, tasks, workers=2)) == {n: n**2 for n in range(20)}
    assert not children()


def test_no_tasks_start_no_workers() -> None:
    assert list(run(eval, [], workers=2)) == []


def test_a_task_that_kills_its_worker_is_tried_once_more(tmp_path: Path) -> None:
    tasks = ["1", unless_there(tmp_path / "tried", DIE), "3"]
    assert dict(run(eval, tasks, workers=2)) == {0: 1, 1: 7, 2: 3}


def test_tasks_that_kill_their_workers_twice_are_named_and_the_others_are_done() -> None:
    tasks = ["1", DIE, "3", EXIT, "[0] * 10**18"]
    assert dict(run(eval, tasks, workers=2)) == {
        0: 1,
        1: Crash("signal 9"),
        2: 3,
        3: Crash("exit code 3"),
        4: Crash("out of memory"),
    }


def test_an_error_of_ours_comes_home_as_itself() -> None:
    task = "exec(\"from traitscope.errors import ClipError; raise ClipError('x', status='s')\")"
    with pytest.raises(ClipError, match="x") as caught:
        list(run(eval, ["1", task, "3"], workers=1))
    assert caught.value.status == "s"
    assert not children()


def test_a_bug_comes_home_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"in a worker process:(.|\n)*ZeroDivisionError"):
        list(run(eval, ["1 / 0"], workers=1))


def test_workers_that_cannot_start_are_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(TraitscopeError, match=r"end before they have started.*--workers 0"):
        list(run(eval, ["1"], workers=1))


def test_workers_end_when_nobody_wants_more() -> None:
    results = run(eval, ["1"] * 4 + ["__import__('time').sleep(60)"] * 2, workers=2)
    next(results)
    assert len(children()) == 2
    results.close()
    assert not children()


def test_workers_share_the_processors_and_import_no_torch() -> None:
    tasks = ["__import__('cv2').getNumThreads()", "'torch' in __import__('sys').modules"]
    assert dict(run(eval, tasks, workers=cores())) == {0: 1, 1: False}
    assert dict(run(eval, tasks[:1], workers=1)) == {0: cores()}


def test_workers_are_told_how_memory_is_given_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    task = "__import__('os').environ['GLIBC_TUNABLES']"
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    ((_, told),) = run(eval, [task], workers=1)
    assert "glibc.malloc.hugetlb=1" in told
    assert "GLIBC_TUNABLES" not in os.environ
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=7")
    assert dict(run(eval, [task], workers=1)) == {0: "glibc.malloc.tcache_count=7"}


def test_what_libraries_print_in_workers_is_not_in_the_result(
    capfd: pytest.CaptureFixture[str],
) -> None:
    list(run(eval, ["__import__('os').write(1, b'noise')"], workers=1))
    out, err = capfd.readouterr()
    assert out == ""
    assert "noise" in err


SCRIPT = """
import sys
from traitscope.features.pool import run
print("the script runs", file=sys.stderr)
print(sum(answer for _, answer in run(eval, ["1", "2"], workers=2)))
"""


def test_a_script_without_a_main_guard_may_start_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
    assert done.stderr.count("the script runs") == 1


WAITING = """
from traitscope.features.pool import run
tasks = ["1"] * 2 + ["__import__('time').sleep(600)"] * 2
for place, answer in run(eval, tasks, workers=2):
    print(answer, flush=True)
"""


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        signal.SIGKILL,
    ],
)
def test_no_worker_outlives_the_process_that_started_it(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        family = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        _, err = process.communicate(timeout=120)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    assert err.count("Traceback") == (1 if number == signal.SIGINT else 0), err
