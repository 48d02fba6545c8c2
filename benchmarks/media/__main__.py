"""Files of many kinds, made on the spot, as we read them and as the ffmpeg program does.

Run with ``python -m benchmarks.media`` from the repository; ``--only avi`` takes those whose name
has the word. It needs ``ffmpeg`` and ``ffprobe``, and prints each file with the number of its
pictures, the largest difference of their times, their size, and length and level of the sound.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import figure
from benchmarks.media.combinations import COMBINATIONS, Combination, ffmpeg, make
from benchmarks.media.comparison import disagreements, ours, theirs, time_gap
from traitscope.errors import ClipError


def main() -> int:
    """Print the table; 1 if there is a disagreement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.media", description=__doc__)
    parser.add_argument("--only", default="", help="take the files whose name has this in it")
    only = parser.parse_args().only
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        print("skipped: the programs ffmpeg and ffprobe are not installed")
        return 0
    chosen = [one for one in COMBINATIONS if only in one.name]
    print(ffmpeg("-version").stdout.decode().splitlines()[0].split(" Copyright")[0])
    print(
        f"{'file':28}{'pictures':>9}{'times ms':>10}{'size':>11}{'sound s':>9}{'level':>8}  verdict"
    )
    faulty = 0
    with tempfile.TemporaryDirectory() as folder:
        for one in chosen:
            row, faults = _compared(one, Path(folder))
            print(f"{one.name:28}{row}  {'; '.join(faults) or 'same'}", flush=True)
            faulty += bool(faults)
    figure(f"of {len(chosen)} files read other than by ffmpeg", faulty, most=0, unit="")
    print(f"\n{len(chosen)} files, {faulty} disagreements")
    return int(faulty > 0)


def _compared(one: Combination, folder: Path) -> tuple[str, list[str]]:
    """What we read, as a row of the table, and where ffmpeg reads something else."""
    path = make(one, folder)
    try:
        mine = ours(one, path)
    except ClipError as error:
        return " " * 47, [str(error)]
    other = theirs(one, path)
    same = len(mine.times) == len(other.times)
    gap = f"{1000 * time_gap(mine, other):.1f}" if same and len(mine.times) else "-"
    size = f"{mine.size[0]}x{mine.size[1]}" if one.has_video else "-"
    row = f"{len(mine.times):9}{gap:>10}{size:>11}{mine.seconds:9.3f}{mine.level:8.4f}"
    return row, disagreements(mine, other)


if __name__ == "__main__":
    sys.exit(main())
