"""The Python interface: what ``import traitscope`` offers, with results for notebooks.

The verbs are those of the command line. Here settings may be dictionaries, paths may be lists, and
what comes back can be looked at: ``to_frame`` gives a table, and a notebook shows it as it is.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from traitscope.notebook import progress

if TYPE_CHECKING:  # whoever only imports the package waits for none of them
    import pandas as pd

    from traitscope.analysis.evidence import Explanation
    from traitscope.evaluation.report import Report, Scoring
    from traitscope.features.summary import Summary
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Corpus, Hook, Prediction

Settings = Mapping[str, Any] | Sequence[str]
"""Such as {"train.lr": 1e-3}, or ["train.lr=1e-3"]."""
Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Run:
    """A finished training; wherever the folder of a run is asked for, it will do.

    Attributes:
        folder: of the run.
    """

    folder: Path

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:
        return str(self.folder)

    def __truediv__(self, name: str) -> Path:
        """A file of the run, as of a path."""
        return self.folder / name

    def to_frame(self) -> "pd.DataFrame":
        """What is known of each epoch; no rows of a model that is fitted in one step."""
        import pandas as pd

        path = self.folder / "history.csv"
        return pd.DataFrame(_history(path) if path.is_file() else [])

    def _repr_html_(self) -> str:
        history = self.to_frame()
        # The last ones: whoever looks at a run wants to know how it ended.
        shown = "" if history.empty else history.tail(5).to_html(index=False, border=0)
        return f"<p>run <code>{_escaped(self.folder)}</code>, {len(history)} epochs</p>{shown}"


class Predictions(Sequence["Prediction"]):
    """The predictions of some clips, in the order in which they were named."""

    def __init__(self, predictions: Iterable["Prediction"]) -> None:
        self._predictions = tuple(predictions)

    def __len__(self) -> int:
        return len(self._predictions)

    @overload
    def __getitem__(self, place: int) -> "Prediction": ...
    @overload
    def __getitem__(self, place: slice) -> "Predictions": ...
    def __getitem__(self, place: int | slice) -> "Prediction | Predictions":
        if isinstance(place, slice):
            return Predictions(self._predictions[place])
        return self._predictions[place]

    def to_frame(self) -> "pd.DataFrame":
        """One row per clip: scores by target, ends of intervals, then status, reason and path."""
        import pandas as pd

        rows = [
            {"clip": p.clip, **p.scores, **_ends(p)}
            | {"status": p.status, "reason": p.reason, "path": p.path}
            for p in self
        ]
        # A clip without scores must not bring its columns before the targets.
        columns = list(dict.fromkeys(name for p in self for name in (*p.scores, *_ends(p))))
        names = [name for p in self for name in p.scores]
        columns.sort(key=lambda column: column not in names)
        return pd.DataFrame(rows, columns=["clip", *columns, "status", "reason", "path"])

    def __repr__(self) -> str:
        failed = sum(p.status != "ok" for p in self)
        return f"Predictions of {len(self)} clips" + (f", {failed} without scores" * bool(failed))

    def _repr_html_(self) -> str:
        if len(self) == 1:
            return self[0]._repr_html_()
        return str(self.to_frame().round(3).to_html(index=False, border=0))


def prepare(
    corpus: "Corpus | str",
    store: Place,
    extract: Mapping[str, Mapping[str, Any]] | Sequence[str] | None = None,
    *,
    for_: str | None = None,
    settings: Settings = (),
    workers: int | None = None,
    retry: bool = False,
    hook: "Hook | None" = None,
) -> "Summary":
    """Extract features from the media of a corpus into a store; the same call again resumes.

    Args:
        corpus: a corpus, or its address such as ``table:clips.csv``.
        store: the folder of features; made when needed.
        extract: extractors, or extractor -> settings: ``{"faces": {"rate": 5}}``.
        for_: instead, the recipe or model whose features are wanted.
        settings: of that recipe or model, such as ``{"features.faces.rate": 2}``.
        workers: processes; one per core by default, 0 to work in this one.
        retry: try all failed clips again.
        hook: called with (done, total, clip); a notebook shows progress without one.

    Raises:
        ConfigError: neither or both of ``extract`` and ``for_`` are given, or one is unknown.

    Example:
        ``prepare("table:clips.csv", "store", for_="functionals")``
    """
    # Each verb imports what it needs when it is called: torch alone takes seconds.
    from traitscope.errors import ConfigError
    from traitscope.features import preparation
    from traitscope.runs.plan import requests_for

    if (extract is None) == (for_ is None):
        raise ConfigError(
            "Say what to extract: either extract=['faces', 'signals'], or for_= a recipe or model."
        )
    requests: Any = extract
    if for_ is not None:
        requests = requests_for(for_, as_overrides(settings))
    elif not isinstance(extract, Mapping):
        requests = {name: {} for name in extract or ()}
    with _watching(hook, "clips") as watch:
        return preparation.prepare(
            corpus, requests, store=Path(store), workers=workers, retry=retry, hook=watch
        )


def train(
    name: str,
    settings: Settings = (),
    *,
    to: Place | None = None,
    resume: bool = False,
    start_from: Place | None = None,
    accelerator: str = "auto",
    workers: int = 0,
    streams: Iterable[str] = (),
    hook: "Hook | None" = None,
) -> Run:
    """Train and save a run.

    Args:
        name: recipe, model, YAML file or dotted path of an outside model.
        settings: such as ``{"data.corpus": "fi:/data/fi", "train.lr": 1e-3}``, or strings.
        to: folder of the run; ``runs/NAME-1``, ``-2`` ... when not given.
        resume: go on with an interrupted run in ``to``.
        start_from: run of the same architecture whose weights to start from.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        workers: processes that read a network's examples; 0 reads them here.
        streams: dotted paths of extractors from outside whose features the model draws.
        hook: called as hook(done epochs, epochs, news); a notebook shows progress without one.

    Raises:
        TraitscopeError: settings are wrong, or features or labels are missing.

    Example:
        ``train("audio_lstm", {"data.corpus": "fi:/data/fi", "data.store": "store"}, to="runs/a")``
    """
    from traitscope.training import fitting

    with _watching(hook, "epochs") as watch:
        folder = fitting.train(
            name,
            as_overrides(settings),
            to=None if to is None else Path(to),
            resume=resume,
            start_from=None if start_from is None else Path(start_from),
            accelerator=accelerator,
            workers=workers,
            streams=streams,
            hook=watch,
        )
    return Run(folder)


def evaluate(
    run: Place,
    *,
    split: str = "test",
    corpus: str | None = None,
    store: Place | None = None,
    to: Place | None = None,
    model: str | None = None,
    streams: Iterable[str] = (),
    scoring: "Scoring | None" = None,
    workers: int = 0,
    hook: "Hook | None" = None,
) -> "Report":
    """Score a run on a split and write ``predictions.csv`` and ``report.json``.

    Args:
        run: a trained run, or the folder of one per fold: then all their predictions together.
        split: which clips.
        corpus: address of another corpus; or the run's own, to have your module imported for it.
        store: where that corpus' features are; the run's own store by default.
        to: folder of the results; ``RUN/evaluation/SPLIT`` by default.
        model: the dotted path of an outside model the run was trained with.
        streams: dotted paths of outside extractors that the run reads.
        scoring: aggregation, resamples, seed.
        workers: processes that read features; 0 reads them here.
        hook: called as hook(done, total, name); a notebook shows progress without one.

    Raises:
        DataError: features are missing; the message is the command that makes them.

    Example:
        ``evaluate("runs/a").everything.model.macro("accuracy").value``
    """
    from traitscope.evaluation import trained_runs

    with _watching(hook, "clips") as watch:
        return trained_runs.evaluate(
            Path(run),
            split=split,
            corpus=corpus,
            store=None if store is None else Path(store),
            to=None if to is None else Path(to),
            model=model,
            streams=streams,
            scoring=scoring,
            workers=workers,
            hook=watch,
        )


def predict(
    run: "Checkpoint | Place | Sequence[Checkpoint | Place]",
    *media: Place | Iterable[Place],
    text: Place | None = None,
    hook: "Hook | None" = None,
    **how: Any,
) -> Predictions:
    """Estimate the traits of clips with a trained run.

    Args:
        run: a run or its folder, or a loaded checkpoint; or several, whose mean is taken.
        media: files, folders of images or tables, one by one or in lists.
        text: a file with the words of the one clip.
        hook: called as hook(done, total, name); a notebook shows progress without one.
        how: the rest, see ``traitscope.prediction.clips.predict``.

    Returns:
        One prediction per clip, in order; one that cannot be scored has a status and a reason.

    Example:
        ``predict("runs/a", ["one.mp4", "two.mp4"]).to_frame()``
    """
    from traitscope.prediction import clips

    several = run if isinstance(run, Sequence) and not isinstance(run, str) else [run]
    loaded = [plain_path(one) for one in several]
    words = None if text is None else Path(text)
    with _watching(hook, "clips") as watch:
        return Predictions(clips.predict(loaded, *_paths(media), text=words, hook=watch, **how))


def plain_path(run: Any) -> Any:
    """The path of a folder that is named in any way; a loaded run stays what it is."""
    return Path(run) if isinstance(run, str | os.PathLike) else run


def _paths(media: Iterable[Place | Iterable[Place]]) -> list[Path]:
    paths: list[Path] = []
    for each in media:
        # Text is a sequence of letters as well, and must not be taken for a list of paths.
        one = isinstance(each, str | os.PathLike)
        paths += [Path(each)] if one else [Path(path) for path in each]  # type: ignore[arg-type, union-attr]
    return paths


def _ends(prediction: "Prediction") -> dict[str, float]:
    ends = prediction.intervals.items()
    return {f"{end}_{n}": getattr(one, end) for n, one in ends for end in ("low", "high")}


def explain(
    run: "Checkpoint | Place", clip: Place, *, to: Place | None = None, **how: Any
) -> "Explanation":
    """Say what in a clip the scores of a run rest on, with a test of it.

    Args:
        run: a run or its folder, or a loaded checkpoint.
        clip: a media file, a folder of images, or a text file.
        to: also write a page with the video to this file.
        how: the rest, see ``traitscope.analysis.explanations.explain``.

    Raises:
        DataError: the clip cannot be scored; the message says why.

    Example:
        ``explain("runs/a", "clip.mp4", to="page.html").top("extraversion")``
    """
    from traitscope.analysis import explanations
    from traitscope.report.explanation import write_explanation

    loaded: Any = Path(run) if isinstance(run, str | os.PathLike) else run
    made = explanations.explain(loaded, Path(clip), **how)
    if to is not None:
        write_explanation(made, Path(to))
    return made


def as_overrides(settings: Settings) -> list[str]:
    """Settings as the command line takes them: ``key=value``, values as JSON."""
    if not isinstance(settings, Mapping):
        return list(settings)
    # JSON is YAML, which values are read as, with no doubt about quotes.
    return [f"{key}={json.dumps(value, default=_plain)}" for key, value in settings.items()]


def _plain(value: Any) -> Any:
    """What JSON does not know: numbers and arrays of NumPy, paths, tuples of them."""
    return value.tolist() if hasattr(value, "tolist") else os.fspath(value)


def _watching(hook: "Hook | None", what: str) -> Any:
    """The user's hook; or, in a notebook, a bar."""
    return progress(what) if hook is None else nullcontext(hook)


def _history(path: Path) -> list[dict[str, Any]]:
    from traitscope.training.history import epochs

    return epochs(path)


def _escaped(path: Path) -> str:
    from html import escape

    return escape(str(path))
