"""An audit in, sentences of what was found out, the same for page and terminal."""

from traitscope.audit.shifts import REASONS
from traitscope.errors import some
from traitscope.report.audits import Audit, cells_of, is_clear, label_of
from traitscope.report.content import number


def audit_words(audit: Audit) -> str:
    """Say what was found, never a verdict."""
    if audit["audit"] == "fairness":
        return _fairness(audit)
    if audit["audit"] == "leakage":
        return " ".join(audit["sentences"]) or "Nothing that is known of the clips leaks."
    if audit["audit"] == "perturbation":
        return _perturbation(audit)
    return _calibration(audit)


def _fairness(audit: Audit) -> str:
    with_cells = [group for group in audit["groups"] if "cells" in group]
    clear = [
        f"{group['value']} ({label_of(audit, target)}: scored "
        f"{_by(cells['prediction_gap']['value'])} than others, labelled "
        f"{_by(cells['label_gap']['value'])})"
        for group in with_cells
        for target, cells in group["cells"].items()
        if is_clear(cells)
    ]
    counted = f"Groups with enough clips for numbers: {len(with_cells)}"
    if clear:
        return (
            f"{counted}; clear gaps, which neither a constant nor scores that are merely drawn to "
            f"the mean would show: {some(clear, 6)}."
        )
    return (
        f"{counted}; no gap in predictions is clearly of the other sign than the labels' own, or "
        f"larger, after Holm's correction over {audit['tests']} tests."
    )


def _by(gap: float) -> str:
    return f"{number(abs(gap), 3)} {'higher' if gap > 0 else 'lower'}"


def _perturbation(audit: Audit) -> str:
    flagged = audit["flagged"]
    steps = [f"{f['perturbation']} {f['step']:g} ({label_of(audit, f['target'])})" for f in flagged]
    if steps:
        counts = {why: sum(why in f["reasons"] for f in flagged) for why in REASONS}
        reasons = "; ".join(f"{REASONS[why]}: {n}" for why, n in counts.items() if n)
        outcome = f"flagged: {some(steps, 6)}. How many for which reason: {reasons}"
    else:
        outcome = "nothing is flagged"
    lost = sum(len(step["failed"]) for e in audit["perturbations"] for step in e["steps"])
    copies = "copy" if lost == 1 else "copies"
    gone = f" {lost} changed {copies} could not be scored at all (no face ...)." if lost else ""
    return (
        f"{audit['clips']} clips were scored again after each change. Shifts are held against the "
        f"model's own 95 % interval, the sd of its predictions and the order of clips; "
        f"{outcome}.{gone}"
    )


def _calibration(audit: Audit) -> str:
    cells = cells_of(audit, audit["cells"], "label_slope")
    known = {label: cell for label, cell in cells if cell["value"] is not None}
    if not known:
        return "Labels or predictions do not vary, so nothing can be said of calibration."
    slopes = [cell["value"] for cell in known.values()]
    off = [
        label
        for label, cell in known.items()
        if cell["low"] is not None and (cell["low"] > 1 or cell["high"] < 1)
    ]
    apart = f"the interval leaves 1 out for {', '.join(off)}" if off else "every interval covers 1"
    return (
        f"A prediction one unit higher goes with labels {number(min(slopes), 2)} to "
        f"{number(max(slopes), 2)} units higher, depending on the trait (1: a score means what it "
        f"says); {apart}."
    )
