"""An audit in, sentences of what was found out, the same for page and terminal."""

from collections.abc import Callable

from traitscope.audit.findings import (
    Audit,
    Calibration,
    Cell,
    Fairness,
    Gaps,
    Leakage,
    Perturbation,
)
from traitscope.audit.shifts import REASONS
from traitscope.errors import some
from traitscope.report.audits import follows_group, is_clear, slopes_of
from traitscope.report.content import number


def audit_words(audit: Audit) -> str:
    """Say what was found, never a verdict."""
    if isinstance(audit, Fairness):
        return _fairness(audit)
    if isinstance(audit, Leakage):
        return " ".join(audit.sentences) or "Nothing that is known of the clips leaks."
    if isinstance(audit, Perturbation):
        return _perturbation(audit)
    return _calibration(audit)


def _fairness(audit: Fairness) -> str:
    counted = f"Groups with enough clips for numbers: {len(audit.measured)}"
    clear = _gaps(audit, is_clear)
    if clear:
        first = (
            f"{counted}; clear gaps, which neither a constant nor scores that are merely drawn to "
            f"the mean would show: {some(clear, 6)}."
        )
    else:
        first = (
            f"{counted}; no gap in predictions is clearly of the other sign than the labels' own, "
            f"or larger, after Holm's correction over {audit.tests} tests."
        )
    # What is clear follows the group as well: it is said once, in the stronger words.
    follows = _gaps(audit, lambda cells: follows_group(cells) and not is_clear(cells))
    if not follows:
        return first
    return (
        f"{first} Scores follow the group rather than the person, within the labels' gap: "
        f"{some(follows, 6)}."
    )


def _gaps(audit: Fairness, holds: Callable[[Gaps], bool]) -> list[str]:
    """Groups and targets of which something holds, with their gaps."""
    return [
        f"{group.value} ({audit.label_of(target)}: scored {_by(cells.prediction_gap)} than "
        f"others, labelled {_by(cells.label_gap)})"
        for group, own in audit.measured
        for target, cells in own.items()
        if holds(cells)
    ]


def _by(gap: Cell) -> str:
    # Only gaps that hold come here, and these are defined.
    value = gap.value or 0.0
    return f"{number(abs(value), 3)} {'higher' if value > 0 else 'lower'}"


def _perturbation(audit: Perturbation) -> str:
    flagged = audit.flagged
    steps = [f"{f.perturbation} {f.step:g} ({audit.label_of(f.target)})" for f in flagged]
    if steps:
        # A step may be flagged for several reasons, so these do not add up to the steps.
        counts = {why: sum(why in f.reasons for f in flagged) for why in REASONS}
        reasons = "; ".join(f"{REASONS[why]}: {n}" for why, n in counts.items() if n)
        outcome = f"flagged: {some(steps, 6)}. How many for which reason: {reasons}"
    else:
        outcome = "nothing is flagged"
    lost = sum(len(step.failed) for _, step in audit.steps)
    copies = "copy" if lost == 1 else "copies"
    gone = f" {lost} changed {copies} could not be scored at all (no face ...)." if lost else ""
    return (
        f"{audit.clips} clips were scored again after each change. Shifts are held against the "
        f"model's own 95 % interval, the sd of its predictions and the order of clips; "
        f"{outcome}.{gone}"
    )


def _calibration(audit: Calibration) -> str:
    # Of labels on predictions: 1 for an honest shrunken system too, which the reverse never is.
    cells = dict(slopes_of(audit, "label_slope"))
    slopes = [cell.value for cell in cells.values() if cell.value is not None]
    if not slopes:
        return "Labels or predictions do not vary, so nothing can be said of calibration."
    off = [label for label, cell in cells.items() if cell.leaves_out(1)]
    apart = f"the interval leaves 1 out for {', '.join(off)}" if off else "every interval covers 1"
    return (
        f"A prediction one unit higher goes with labels {number(min(slopes), 2)} to "
        f"{number(max(slopes), 2)} units higher, depending on the trait (1: a score means what it "
        f"says); {apart}."
    )
