"""How much of the attainable R2 a model reaches on new people, where traits are planted.

Attainable is a ridge on the planted behaviours that the model's streams can carry, fitted on the
same clips: what is left is the noise between a trait and what it makes a face and a voice do. A
behaviour that they cannot carry must not show in the predictions: with the traits taken out of
both, the squared correlation of the behaviour and the prediction it drives stays below .1.

Everything stays in --folder, its table ``table.csv`` as well: a second call goes on where the
first was stopped, and --table prints what is there as Markdown. A model that fails is told and
left out; the others go on, and the next call tries it again.

    python -m benchmarks.planted --folder planted --models functionals au_hybrid
    python -m benchmarks.planted --folder planted --table
    python -m benchmarks.planted --folder planted --rendered --subsets
"""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import figure
from benchmarks.planted.cases import CASES
from benchmarks.planted.running import Place, made, make_encoder, measured, reach
from benchmarks.planted.subsets import subset_table, subsets
from benchmarks.planted.table import LIMIT, keep, markdown, read_rows
from traitscope.errors import TraitscopeError
from traitscope.tracking import resolve_backend

SUBJECTS = 150


def main() -> None:
    """Train what is missing in the table, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="kept between calls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--backends", nargs="+", default=["auto"], help="auto, mediapipe, dlib")
    parser.add_argument("--subjects", type=int, default=SUBJECTS, help="four clips of each")
    parser.add_argument(
        "--rendered", action="store_true", help="render no more clips: those that are there"
    )
    parser.add_argument("--table", action="store_true", help="print what is there, and no more")
    parser.add_argument(
        "--subsets", action="store_true", help="score fusion_transformer with streams taken away"
    )
    arguments = parser.parse_args()
    logging.getLogger("lightning").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as fresh:
        folder = arguments.folder or Path(fresh)
        table = folder / "table.csv"
        if not arguments.table:
            work(arguments, folder)
        for row in read_rows(table):
            least = LIMIT if row.clips >= 4 * SUBJECTS else None
            what = f"{row.model}, {row.faces}: R2 on {row.clips} clips, by what is attainable"
            figure(what, row.ratio, least=least)
        print(markdown(read_rows(table)))


def work(arguments: argparse.Namespace, folder: Path) -> None:
    """Fill the table, or score subsets of streams, for every seed and backend."""
    backends = [resolve_backend(backend) for backend in arguments.backends]
    make_encoder(folder)
    for seed in arguments.seeds:
        place = made(folder, seed, arguments.subjects, rendered=arguments.rendered)
        for faces in backends:
            if arguments.subsets:
                run, _ = reach(place, "fusion_transformer", faces)
                print(f"seed {seed}, {faces}\n\n{subset_table(subsets(place, run))}\n")
            else:
                fill(folder / "table.csv", place, arguments.models, faces)


def fill(table: Path, place: Place, models: list[str], faces: str) -> None:
    """Add the rows that are not there yet."""
    for name in models:
        case = (name, place.seed, place.clips)
        there = [row for row in read_rows(table) if (row.model, row.seed, row.clips) == case]
        if any(row.faces in {faces, "own"} for row in there):
            continue
        try:
            row = measured(place, name, faces)
        except TraitscopeError as error:
            print(f"{name}: not done: {error}", file=sys.stderr, flush=True)
            continue
        keep(table, row)
        print(f"{name}: {row.ratio:.2f} of attainable, {row.verdict}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
