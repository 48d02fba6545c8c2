"""A suite and a corpus -> every run trained and evaluated, and one page that ranks them.

    prepare once -> train, evaluate, weigh each (a process of its own) -> one system per entry
                                                                       -> ranks, costs, failures

What is finished stays and is not done again; an interrupted training goes on where it stopped. A
system that cannot be trained is a line with its reason, not the end of the others.
"""

import json
import logging
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from traitscope.corpora import load_corpus
from traitscope.corpora.synthetic import generate
from traitscope.errors import ConfigError, MissingError, TraitscopeError
from traitscope.evaluation.assessment import assess
from traitscope.evaluation.comparison import Comparison, compare_predictions
from traitscope.evaluation.report import save_report
from traitscope.evaluation.systems import System, read_system, table_system
from traitscope.evaluation.tables import open_predictions, save_table
from traitscope.evaluation.trained_runs import evaluate
from traitscope.experiments.sittings import sit, spent_on
from traitscope.experiments.suites import Entry, Suite
from traitscope.experiments.weighing import weigh
from traitscope.features import pool
from traitscope.features.dealing import Crew, crew_of
from traitscope.features.preparation import prepare
from traitscope.features.request import Request
from traitscope.files import alone, read_json, write_json, write_text
from traitscope.report import histories_of, write_report
from traitscope.report.standings import Cost, Standing, standings
from traitscope.runs.plan import IMPORTED, load_run, plan, typed_names
from traitscope.training.fitting import train
from traitscope.types import Corpus, Hook

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training of one system.

    Attributes:
        name: of the system.
        entry: what is trained.
        settings: ``key=value``, those of the corpus, the store, the suite and the protocol as well.
        address: of the corpus.
        store: of its features.
        folder: of the run.
        base: the run of the entry that it stands on, if it has one.
    """

    name: str
    entry: Entry
    settings: tuple[str, ...]
    address: str
    store: Path
    folder: Path
    base: Path | None = None

    @property
    def is_done(self) -> bool:
        """True when it is trained, evaluated and weighed."""
        return (self.folder / "cost.json").is_file()


def benchmark(
    suite: Suite,
    *,
    to: Path | str,
    corpus: str | None = None,
    store: Path | str | None = None,
    others: Sequence[Path | str] = (),
    workers: int | None = None,
    ray: str | None = None,
    stage: Callable[[str], AbstractContextManager[Hook | None]] = lambda _: nullcontext(),
) -> list[Path]:
    """Train and compare everything in a suite; the same call again goes on where it stopped.

    Args:
        suite: what is trained.
        to: folder of the runs, the results and the pages.
        corpus: address of the corpus; a generated one in the folder by default.
        store: of its features; in the folder by default.
        others: tables of predictions by other people, which join as systems.
        workers: trainings at a time; by default one, or one per core of a cluster.
        ray: address of a Ray cluster that prepares and trains, ``local`` to start one here; its
            machines see the folder and the store.
        stage: opens a progress bar for a step and gives its hook: ``videos``, ``features``,
            ``trainings``.

    Returns:
        A page per protocol.

    Raises:
        TraitscopeError: the corpus cannot be read, or the store not be written.
    """
    folder = Path(to)
    with alone(folder):
        if corpus is None:
            with stage("videos") as hook:
                generate(folder / "corpus", config=suite.synthetic, hook=hook)
        address = corpus or f"synthetic:{folder / 'corpus'}"
        kept = Path(store) if store is not None else folder / "store"
        with stage("features") as hook:
            failures = _prepared(suite, address, kept, hook, ray)
        jobs = _jobs(suite, folder, address, kept)
        able = [job for job in jobs if job.entry.title not in failures]
        crew = crew_of(None if all(job.is_done for job in able) else ray, workers, workers or 1)
        with stage("trainings") as hook, crew as run_and_count:
            failures |= _trained(able, run_and_count, hook)
        told = folder, jobs, others, failures, address
        return [_page(suite, protocol, *told) for protocol in suite.protocols]


def _prepared(
    suite: Suite, address: str, store: Path, hook: Hook | None, ray: str | None
) -> dict[str, str]:
    """Extract for all systems at once; those that lack a file or package, with the reason."""
    failures: dict[str, str] = {}
    wanted: dict[str, list[Request]] = {}
    for entry in suite.entries:
        if entry.first_stage:  # its series are made when that is trained
            continue
        try:
            wanted[entry.title] = _requests(entry.recipe, [*suite.settings, *entry.settings])
        except TraitscopeError as error:
            failures[entry.title] = str(error)
    labels = load_corpus(address)
    if lacking := _cannot(labels, wanted, store):
        failures |= lacking
    able = [request for name, some in wanted.items() if name not in failures for request in some]
    if able:
        prepare(labels, list({r.key: r for r in able}.values()), store=store, hook=hook, ray=ray)
    return failures


def _requests(recipe: str, settings: Sequence[str]) -> list[Request]:
    """What is extracted for a recipe; streams that were brought in are there already."""
    typed = typed_names(recipe, settings)
    requests = plan(load_run(recipe, settings), typed=typed, source=recipe).requests
    return [request for request in requests.values() if request.name != IMPORTED]


def _cannot(labels: Corpus, wanted: Mapping[str, list[Request]], store: Path) -> dict[str, str]:
    """Systems whose features need a file or package that is not here, found out on one clip."""
    one = labels.with_clips(labels.clips[:1])
    failures = {}
    for name, some in wanted.items():
        try:
            if some:
                prepare(one, some, store=store, workers=0)
        except MissingError as error:
            failures[name] = str(error)
    return failures


def _jobs(suite: Suite, folder: Path, address: str, store: Path) -> list[Job]:
    """One per protocol, seed and system, in the order of the suite."""
    jobs = []
    for protocol, choice in suite.protocols.items():
        for entry in suite.entries:
            name = _named(entry.title, protocol)
            for seed in range(suite.seeds):
                place = _place(folder, protocol, entry.title) / f"seed-{seed}"
                settings = (
                    *(f"data.corpus={address}", f"data.store={store}", f"seed={seed}"),
                    *(*suite.settings, *entry.settings, *choice),
                )
                base = None
                if entry.stands_on:
                    base = _place(folder, protocol, entry.stands_on) / f"seed-{seed}"
                jobs.append(Job(name, entry, settings, address, store, place, base))
    return jobs


def _place(folder: Path, protocol: str, title: str) -> Path:
    return folder / "runs" / protocol / title


def _named(title: str, protocol: str) -> str:
    return f"{title} ({protocol})" if protocol else title


def _trained(jobs: Sequence[Job], crew: Crew, hook: Hook | None) -> dict[str, str]:
    """Do what is not done, then what stands on it; systems that failed, with reasons."""
    run, workers = crew
    work = partial(_work, Path.cwd())
    failures: dict[str, str] = {}
    done = sum(job.is_done for job in jobs)
    for stage in ([j for j in jobs if j.base is None], [j for j in jobs if j.base is not None]):
        todo = [job for job in stage if not job.is_done]
        for place, result in run(work, todo, workers=workers, tries=pool.TRIES):
            done += 1
            job = todo[place]
            if isinstance(result, pool.Crash):
                result = f"its process ended ({result.how})"
            if result:
                log.warning("%s: %s", job.name, result)
                failures[job.entry.title] = result
            if hook:
                hook(done, len(jobs), job.name)
    return failures


def _work(place: Path, job: Job) -> str:
    """Train, evaluate and weigh one system, in a process of its own; why not, if it failed."""
    # An actor begins elsewhere, and relative paths begin here; another machine may lack the folder.
    if place.is_dir():
        os.chdir(place)
    try:
        _train(job)
    except TraitscopeError as error:
        return str(error).splitlines()[0]
    except Exception as error:
        # Thirty trainings of a night are not lost because the thirty-first has a fault.
        write_text(job.folder.parent / "error.txt", traceback.format_exc())
        return f"{type(error).__name__}: {error}. See {job.folder.parent / 'error.txt'}"
    return ""


def _train(job: Job) -> None:
    settings, address = list(job.settings), job.address
    if job.base is not None and job.entry.first_stage:
        from traitscope.prediction.frames import score_frames

        settings.append(f"data.first_stage={job.base}")
        score_frames(job.base, load_corpus(address), job.store)
    if (job.folder / "metrics.json").is_file():
        seconds = spent_on(job.folder)
    else:
        # The run's own settings go on; a folder without them holds nothing.
        resume = (job.folder / "run.yaml").is_file()
        changes = [] if resume else settings
        start = job.base if job.entry.start and not resume else None
        seconds = sit(
            job.folder,
            lambda: train(
                *(job.entry.recipe, changes), to=job.folder, resume=resume, start_from=start
            ),
        )
    outside = job.entry.recipe if "." in job.entry.recipe else None
    evaluate(job.folder, model=outside)
    cost = weigh(job.folder, address, seconds, model=outside)
    write_json(job.folder / "cost.json", asdict(cost))


def _page(
    suite: Suite,
    protocol: str,
    folder: Path,
    jobs: Sequence[Job],
    others: Sequence[Path | str],
    failures: Mapping[str, str],
    address: str,
) -> Path:
    """Rank the systems of one protocol, and write their page and ``standings.json``."""
    labels = load_corpus(address)
    systems: list[System] = []
    found: list[Standing] = []
    for entry in suite.entries:
        place = _place(folder, protocol, entry.title)
        runs = [job.folder for job in jobs if job.folder.parent == place and job.is_done]
        if runs:
            systems.append(_system(entry.title, runs, place))
            found.append(Standing(entry.title, assess(systems[-1], labels), _cost(runs)))
    if not systems:
        raise ConfigError(
            "No system of the suite could be trained: "
            + "; ".join(f"{name}: {why}" for name, why in failures.items())
        )
    for table in others:
        name, protocol_of = Path(table).stem, systems[0].protocol
        theirs = table_system(Path(table), name=name, protocol=protocol_of, address=address)
        systems.append(theirs)
        found.append(Standing(systems[-1].name, assess(systems[-1], labels)))
    comparison = _compared(systems, labels)
    opening = standings(_named(suite.title, protocol), found, comparison, failures)
    results = folder / protocol if protocol else folder
    reports = [each.report for each in found]
    for each in found:
        save_report(each.report, results / "reports" / f"{each.name}.json")
    first = [_place(folder, protocol, each.name) / "seed-0" for each in found]
    histories = histories_of(first, reports)
    write_json(results / "standings.json", _standings(found, comparison, failures))
    page = results / "index.html"
    write_report(reports, page, histories=histories, opening=opening)
    return page


def _compared(systems: Sequence[System], labels: Corpus) -> Comparison | None:
    if len(systems) < 2:
        return None
    return compare_predictions(systems, labels, metrics=("ccc",))


def _standings(
    systems: Sequence[Standing], comparison: Comparison | None, failures: Mapping[str, str]
) -> dict[str, Any]:
    """The ranks as JSON."""
    return {
        "schema": 1,
        "systems": {
            each.name: {
                "ccc": each.report.everything.model.macro("ccc").value,
                "r2": each.report.everything.model.macro("r2").value,
                "skill": each.report.everything.model.macro("skill").value,
                "cost": None if each.cost is None else asdict(each.cost),
            }
            for each in systems
        },
        "comparison": None if comparison is None else json.loads(comparison.model_dump_json()),
        "failures": dict(failures),
    }


def _system(title: str, runs: Sequence[Path], place: Path) -> System:
    """The runs of all seeds as one system."""
    members = [read_system(run) for run in runs]
    table = Path(members[0].table)  # type: ignore[arg-type]
    if len(members) > 1:
        frames = [open_predictions(Path(each.table))[1] for each in members]  # type: ignore[arg-type]
        table = place / "predictions.csv"
        save_table(table, pd.concat(frames))
    return replace(members[0], name=title, table=table)


def _cost(runs: Sequence[Path]) -> Cost:
    """Of all seeds: their training together, what one of them takes otherwise."""
    costs = [Cost(**read_json(run / "cost.json")) for run in runs]
    return replace(
        costs[0],
        train_seconds=sum(cost.train_seconds for cost in costs),
        peak_mib=max(cost.peak_mib for cost in costs),
    )
