"""Six systems that a reader must tell apart on the first screen: pages, and pictures of them.

``python -m benchmarks.first_screens --to DIR`` writes ``NAME.html`` of a memoriser, a constant, a
flipped trait, a per cent scale, a good model and one of five seeds, and with a browser at hand
``NAME-desktop.png`` and ``NAME-phone.png``. Then open them and look.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import pandas as pd

from benchmarks.figures import figure
from tests.support.made_systems import (
    FAST,
    labels_of,
    made_corpus,
    part_of,
    seeing,
    table_of,
)
from traitscope.evaluation.assessment import evaluate_predictions
from traitscope.evaluation.baselines import lookup_shrunk
from traitscope.report import write_report
from traitscope.types import TRAITS

SCREENS = {"desktop": (1280, 1000), "phone": (500, 1000)}
"""Chromium opens no narrower window than 500."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> None:
    """Write the pages, and take the pictures where there is a browser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_screens", description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    folder: Path = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    corpus = made_corpus()
    for name, table in tables().items():
        report = evaluate_predictions(table, corpus, name=name, scoring=FAST)
        page = write_report([report], folder / f"{name}.html")
        print(page)
        figure(f"page of a {name} system", page.stat().st_size / 1e6, unit="MB")
        for screen, (width, height) in SCREENS.items() if browser else ():
            picture = folder / f"{name}-{screen}.png"
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            flags += [f"--window-size={width},{height}", f"--screenshot={picture.resolve()}"]
            call = [str(browser), *flags, page.resolve().as_uri()]
            subprocess.run(call, check=True, capture_output=True, timeout=120)
            print(picture)


def tables() -> dict[str, pd.DataFrame]:
    """Name -> predictions of the test clips."""
    corpus = made_corpus()
    test, fitted = part_of(corpus), part_of(corpus, "train")
    good = seeing(test)
    flipped = good.copy()
    flipped[:, 2] = 1 - flipped[:, 2]
    seeds = [table_of(test, seeing(test, seed=seed)).assign(seed=seed) for seed in range(5)]
    return {
        "memoriser": table_of(test, lookup_shrunk(fitted, test, TRAITS)),
        "constant": table_of(test, 0 * good + labels_of(fitted).mean(axis=0)),
        "flipped": table_of(test, flipped),
        "per-cent": table_of(test, 100 * good),
        "good": table_of(test, good),
        "seeds": pd.concat(seeds),
    }


if __name__ == "__main__":
    main()
