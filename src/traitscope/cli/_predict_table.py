"""Predictions as a person at a terminal reads them: bars with intervals, or a row for each clip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import typer

if TYPE_CHECKING:
    from traitscope.runs.checkpoint import Checkpoint
    from traitscope.types import Prediction, Target, Timeline

_IN_DETAIL = 3  # clips; more are a table, or they would run off the screen
_BAR = 24  # characters: with names, numbers and percentiles a line has 80


def write_predictions(
    members: "Sequence[Checkpoint]", predictions: "Sequence[Prediction]", *, level: float
) -> None:
    """Write predictions to the terminal, with what they are not and what intervals cover."""
    from traitscope.prediction.documents import explain_intervals, explain_use

    checkpoint = members[0]
    others = f" and {len(members) - 1} other runs" if members[1:] else ""
    kind = checkpoint.facts.kind.replace("_", "-")
    backend = f", faces by {checkpoint.backend}" if checkpoint.backend else ""
    title = (
        f"{kind} traits by {checkpoint.folder}{others} ({checkpoint.config.model['name']}{backend})"
    )
    if len(predictions) <= _IN_DETAIL:
        typer.echo(title)
        for prediction in predictions:
            typer.echo("\n" + "\n".join(details(prediction, checkpoint.facts.targets)))
        typer.echo("")
        if any(prediction.percentiles for prediction in predictions):
            typer.echo(
                "Higher than: the share of clips that the run was fitted on with lower scores."
            )
    else:
        _write_rows(checkpoint, predictions, title)
    if covers := explain_intervals(members, level):
        typer.echo(covers)
    typer.echo(explain_use(checkpoint))


def details(prediction: "Prediction", targets: "Sequence[Target]") -> list[str]:
    """Lines of one clip, at most 80 characters wide but for its name and sentences."""
    lines = [f"{prediction.clip}  (coverage {_coverage(prediction)}{_whom(prediction)})"]
    if not prediction.scores:
        # Why is said once, on stderr, where whoever sends this to a file will see it.
        return [*lines, f"  no score: {prediction.status}"]
    width = max(len(target.label) for target in targets)
    level = next((f"{one.level:.0%}" for one in prediction.intervals.values()), "")
    span = _BAR + (14 if level else 0)
    head = f"  {'':{width}} score {f'{level} interval' if level else '':^{span - 6}}"
    # The last column is as narrow as "100 %": its heading begins above the one before.
    lines.append(f"{head} higher than" if prediction.percentiles else head.rstrip())
    for target in targets:
        score = prediction.scores[target.name]
        interval = prediction.intervals.get(target.name)
        ends = f" {interval.low:.2f} to {interval.high:.2f}" if interval else ""
        share = prediction.percentiles.get(target.name)
        lines.append(
            f"  {target.label:{width}} {score:5.3f} {bar(prediction, target)}{ends:{span - _BAR}}"
            f"{f' {share:3.0f} %' if share is not None else ''}".rstrip()
        )
    if prediction.timeline is not None:
        lines += _along(prediction.timeline, targets, width)
    return lines


def bar(prediction: "Prediction", target: "Target") -> str:
    """Where score (o) and interval (-) lie in the range of a target; blank without a range."""
    if target.low is None or target.high is None:
        return " " * _BAR

    def place(value: float) -> int:
        assert target.low is not None
        assert target.high is not None
        share = (value - target.low) / (target.high - target.low)
        return round(min(max(share, 0.0), 1.0) * (_BAR - 3)) + 1

    cells = [" "] * _BAR
    cells[0], cells[-1] = "|", "|"
    interval = prediction.intervals.get(target.name)
    if interval is not None:
        for cell in range(place(interval.low), place(interval.high) + 1):
            cells[cell] = "-"
    cells[place(prediction.scores[target.name])] = "o"
    return "".join(cells)


def _along(timeline: "Timeline", targets: "Sequence[Target]", width: int) -> list[str]:
    lines = [f"  along {len(timeline)} windows of {timeline.ends[0] - timeline.starts[0]:.0f} s:"]
    for target in targets:
        row = timeline.scores[target.name]
        lowest, highest = int(np.nanargmin(row)), int(np.nanargmax(row))
        lines.append(
            f"  {target.label:{width}} {row[lowest]:.2f} at {_clock(timeline.starts[lowest])} to "
            f"{row[highest]:.2f} at {_clock(timeline.starts[highest])}, "
            f"sd {timeline.spread[target.name]:.3f}"
        )
    return lines


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _coverage(prediction: "Prediction") -> str:
    # The worst of the streams: a score rests on all of them.
    name, share = min(prediction.coverage.items(), key=lambda item: item[1], default=("", 0.0))
    if not name:
        return "-"
    return f"{share:.0%}" + (f" of {name}" if share < 1 else "")


def _whom(prediction: "Prediction") -> str:
    person = prediction.person
    if person is None:
        return ""
    speaks = {True: ", speaks", False: ", does not speak", None: ""}[person.speaks]
    return f"; person {person.number}, seen in {person.share:.0%}{speaks}"


def _write_rows(checkpoint: "Checkpoint", predictions: "Sequence[Prediction]", title: str) -> None:
    from traitscope.cli._shared import write_table

    targets = checkpoint.facts.targets
    rows = []
    for one in predictions:
        scores = [_cell(one, target.name) for target in targets]
        name, share = min(one.coverage.items(), key=lambda item: item[1], default=("", 0.0))
        seen = f"{share:.0%}" + (f" ({name})" if share < 1 else "") if name else "-"
        rows.append([one.clip, *scores, seen, one.status])
    write_table(["clip", *[t.label for t in targets], "coverage", "status"], rows, title=title)


def _cell(prediction: "Prediction", name: str) -> str:
    if not prediction.scores:
        return "-"
    interval = prediction.intervals.get(name)
    ends = f" [{interval.low:.2f} {interval.high:.2f}]" if interval else ""
    return f"{prediction.scores[name]:.3f}{ends}"
