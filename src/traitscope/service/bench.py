"""What a worker process does: the runs are loaded once, then one order after the other is scored.

In: orders, through a pipe. Out: messages, through the same pipe: ``ready`` or ``unready`` once,
then for each order any number of ``progress`` and one ``answer`` or ``unable``. Everything that
is loaded or decoded is loaded and decoded here, so that no fault of it is the server's.
"""

import logging
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from traitscope.errors import ClipError, ConfigError, DataError, TraitscopeError, lacks_memory
from traitscope.features.pool import settle_in
from traitscope.media.limits import Limits
from traitscope.runs.card import EXCLUDED, KINDS

if TYPE_CHECKING:
    from traitscope.analysis.references import Reference
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Clip

_log = logging.getLogger(__name__)
_FACES = 4
"""Moments of the recording at which the face is shown."""
_EVERY_SECONDS = 0.25
"""From one message of progress to the next: a person sees no more of them."""


Task = Literal["scores", "explanation"]
"""What a job asks of the runs: what they say of a recording, or what that rests on."""


@dataclass(frozen=True)
class Order:
    """One recording (or words) to score with one run, or to explain its scores.

    Attributes:
        model: name of the run, as clients know it.
        path: of the recording; None for words alone.
        name: what the client called it, made harmless; every message says this and no path.
        words: what is said in it, where the client sent that.
        task: what is asked.
    """

    model: str
    path: Path | None
    name: str
    words: str | None = None
    task: Task = "scores"


@dataclass(frozen=True)
class Stock:
    """What every worker loads.

    Attributes:
        runs: name for clients -> folder.
        limits: of a recording.
        threads: of the libraries of arrays, in each worker.
        most_bytes: memory that the system gives to a worker.
    """

    runs: Mapping[str, Path]
    limits: Limits
    threads: int
    most_bytes: int


def serve_orders(connection: Connection, stock: Stock) -> None:
    """Run in a spawned process until the server is gone."""
    settle_in(stock.threads)
    _bound_memory(stock.most_bytes)
    with suppress(EOFError, OSError):
        try:
            scorers = _Scorers(stock)
        except TraitscopeError as error:
            connection.send(("unready", str(error)))
            return
        connection.send(("ready", scorers.cards()))
        while True:
            connection.send(_answer(scorers, connection.recv(), connection.send))


def _answer(
    scorers: "_Scorers", order: Order, send: Callable[[tuple[str, Any]], None]
) -> tuple[str, Any]:
    """Score one order; whatever goes wrong becomes a message, and the process goes on."""
    try:
        scorers.extraction.watch = _reporting(send)
        work = scorers.explain if order.task == "explanation" else scorers.score
        return "answer", work(order)
    except (EOFError, BrokenPipeError):
        raise
    except TraitscopeError as error:
        _log.warning("%s", error)
        return "unable", "unavailable"
    except Exception as error:  # a fault of ours or of a library is this order's alone
        if lacks_memory(error):
            return "unable", "out_of_memory"
        _log.exception("An order failed.")
        return "unable", "internal"


class _Scorers:
    """The runs of a stock, loaded, with trackers that stay open."""

    def __init__(self, stock: Stock) -> None:
        from traitscope.features.extraction import Extraction
        from traitscope.runs.checkpoint import load
        from traitscope.tracking import open_tracker

        self.checkpoints = {name: load(folder) for name, folder in stock.runs.items()}
        # A missing model file is told before the first client comes.
        for backend in {one.backend for one in self.checkpoints.values() if one.backend}:
            open_tracker(backend).close()
        self.folders = {str(folder): name for name, folder in stock.runs.items()}
        self.extraction = Extraction(stock.limits)
        self._references: dict[str, Reference] = {}

    def score(self, order: Order) -> dict[str, Any]:
        """The scores of one recording, with pictures of whose they are."""
        from traitscope.prediction.clips import predict_clip
        from traitscope.prediction.documents import to_document

        checkpoint, clip = self.checkpoints[order.model], _clip(order)
        prediction = predict_clip(checkpoint, clip, extraction=self.extraction)
        tree = to_document(checkpoint, [replace(prediction, path="")])
        faces = self._faces(checkpoint, clip) if prediction.status == "ok" else []
        shown = without(tree, self._hidden(order))
        return {"model": order.model, "prediction": shown, "faces": faces}

    def explain(self, order: Order) -> dict[str, Any]:
        """What the scores of one recording rest on, and as a piece of a page."""
        from traitscope.analysis.explanation_test import read_tested
        from traitscope.analysis.explanations import explain_clip
        from traitscope.analysis.references import reference_of
        from traitscope.report.explanation import fragment

        checkpoint = self.checkpoints[order.model]
        if order.model not in self._references:
            # Of a run, not of a recording: it may read the features of dozens of clips.
            self._references[order.model] = reference_of(checkpoint)
        result = {"model": order.model, "status": "ok", "reason": "", "evidence": {}, "html": ""}
        try:
            against = self._references[order.model]
            made = explain_clip(checkpoint, _clip(order), against, extraction=self.extraction)
        except (ClipError, ConfigError, DataError) as error:
            # Any but the first: this model has no evidence to give.
            status = error.status if isinstance(error, ClipError) else "not_explained"
            reason = without(str(error), self._hidden(order))
            return {**result, "status": status, "reason": reason}
        notes = tuple(without(made.notes, self._hidden(order)))
        made = replace(made, run=order.model, path="", notes=notes)
        # Without its video: a recording is not kept in the answer after it was deleted.
        shown = fragment(made, tested=read_tested(checkpoint.folder), played=True)
        return {**result, "evidence": dict(shown.data), "html": str(shown.html)}

    def _faces(self, checkpoint: "Checkpoint", clip: "Clip") -> list[dict[str, Any]]:
        """A few pictures of the face that was looked at: whose scores these are."""
        from traitscope.features.extraction import extract_clip
        from traitscope.features.request import make_request
        from traitscope.types import Stream

        if clip.path is None or checkpoint.backend is None:
            return []
        looking = (one for one in checkpoint.facts.requests.values() if "tracks" in one.all_needs)
        chosen = next((getattr(one.config, "select", None) for one in looking), None)
        asked = {"backend": checkpoint.backend, "rule": "even", "count": _FACES, "size": 96}
        request = make_request("faces", {**asked, **({"select": chosen} if chosen else {})})
        self.extraction.watch("pictures", 0.0)
        stream = extract_clip(clip, [request], extraction=self.extraction)[request.key]
        if not isinstance(stream, Stream):  # none of these moments shows a face
            return []
        return [
            {"seconds": round(float(time), 2), "jpeg": b64encode(picture).decode("ascii")}
            for time, picture in zip(stream.time, stream.images or (), strict=True)
            if picture
        ]

    def _hidden(self, order: Order) -> dict[str, str]:
        """Our paths, each with what a client reads instead."""
        return {**self.folders, **({str(order.path): order.name} if order.path else {})}

    def cards(self) -> list[dict[str, Any]]:
        """What clients may know of the runs."""
        return [self._card(name) for name in self.checkpoints]

    def _card(self, name: str) -> dict[str, Any]:
        from traitscope.prediction.documents import to_document

        checkpoint = self.checkpoints[name]
        tree = to_document(checkpoint, [])
        requests = checkpoint.facts.requests.values()
        needs = {need for one in requests for need in one.all_needs}
        card = checkpoint.folder / "card.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        facts = {
            "name": name,
            "model": tree["model"],
            "kind": tree["kind"],
            "about": KINDS[tree["kind"]],
            "corpus": tree["corpus"],
            "backend": tree["backend"],
            "reads": sorted(needs & {"frames", "tracks", "audio", "text"}),
            "targets": tree["targets"],
            "note": tree["note"],
            "not_for": list(EXCLUDED),
            "card": text,
        }
        result: dict[str, Any] = without(facts, self.folders)
        return result


def _clip(order: Order) -> "Clip":
    from traitscope.types import Clip

    return Clip(order.name, path=order.path, transcript=order.words)


def without(tree: Any, hidden: Mapping[str, str]) -> Any:
    """JSON values with some texts replaced wherever they occur: paths of this machine."""
    if isinstance(tree, str):
        # The longest first: a folder may be the beginning of a file.
        for text in sorted(hidden, key=len, reverse=True):
            tree = tree.replace(text, hidden[text])
        return tree
    if isinstance(tree, Mapping):
        return {key: without(value, hidden) for key, value in tree.items()}
    if isinstance(tree, Sequence):
        return [without(value, hidden) for value in tree]
    return tree


def _reporting(send: Callable[[tuple[str, Any]], None]) -> Callable[[str, float], None]:
    """A hook that passes on a stage and its share, now and then."""
    told, when = "", 0.0

    def watch(stage: str, share: float) -> None:
        nonlocal told, when
        now = time.monotonic()
        if stage != told or now - when >= _EVERY_SECONDS:
            told, when = stage, now
            send(("progress", (stage, round(min(max(share, 0.0), 1.0), 3))))

    return watch


def _bound_memory(most_bytes: int) -> None:
    """Let the system refuse memory before the machine has none; only Linux counts it so."""
    if sys.platform != "linux":
        return
    import resource

    # The data segment and private mappings: address space alone, which GPUs and allocators
    # reserve by the terabyte, costs nothing.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
