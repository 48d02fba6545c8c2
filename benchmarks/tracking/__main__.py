"""Our tracking against MediaPipe's own graph, and our signals against a table of OpenFace.

Run with ``python -m benchmarks.tracking [CLIP ...]`` from the repository; without clips it takes
the real ones of ``../shared``. It needs ``face_landmarker.task`` and both LiteRT and MediaPipe.
``--table FACES.csv --video VIDEO`` compares signals of both backends with OpenFace's of that video.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.figures import figure
from benchmarks.tracking.comparison import Agreement, compared
from benchmarks.tracking.openface import against_table

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
HEADS = f"{'clip':30}{'pictures':>9}{'graph':>7}{'ours':>6}{'points':>8}{'95 %':>7}"
HEADS += f"{'pose':>7}{'95 %':>6}{'shapes r':>10}{'eyes sd':>9}{'width':>7}"
LIMITS = {"points": 0.01, "points_95": 0.02, "eyes": 0.03}
SMALL, LIMITS_OF_SMALL = 100.0, {"points": 0.02, "points_95": 0.05, "eyes": 0.03}
"""Faces of fewer pixels, which the graph saw in enlarged parts of the picture, not in the whole."""


def main() -> int:
    """Print the tables; 1 if a tolerance is exceeded or a face lost."""
    options = _options()
    clips = options.clips or sorted(p for p in CLIPS.glob("*.m*") if "talking" not in p.name)
    if not clips:
        print("skipped: there are no clips; name some")
        return 0
    print("points: mean difference by the distance of the outer eye corners, median of pictures;")
    print("pose: largest angle in degrees; shapes: median r of those with sd > .02; eyes: of chips")
    print("alone, the largest sd of an eye across or down, by the distance of the eyes\n")
    print(HEADS)
    rows = [compared(clip, rate=options.rate, seconds=options.seconds) for clip in clips]
    for row in rows:
        print(_line(row), flush=True)
    for row in rows:
        # Where the graph sees nobody either, all of its faces are seen.
        share = row.ours / row.theirs if row.theirs else 1.0
        figure(f"{row.clip}: faces, by MediaPipe's own graph", share, least=1)
    if options.table:
        print(f"\n{'signal':16}{'OpenFace mean':>14}{'sd':>7}", end="")
        print("".join(f"{b:>11} r{'mean':>8}{'scale':>8}" for b in ("mediapipe", "dlib")))
        for line in against_table(options.table, options.video):
            print(line)
    return int(any(_exceeds(row) for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each clip")
    parser.add_argument("--table", type=Path, help="of OpenFace, of the video given with --video")
    parser.add_argument("--video", type=Path)
    options = parser.parse_args()
    if bool(options.table) != bool(options.video):
        parser.error("--table and --video go together: the table is of that video")
    return options


def _line(row: Agreement) -> str:
    counts = f"{row.clip:30}{row.pictures:9}{row.theirs:7}{row.ours:6}"
    if not row.pairs:
        return f"{counts}   no face that both see"
    points = f"{row.points:8.4f}{row.points_95:7.4f}{row.pose:7.2f}{row.pose_95:6.2f}"
    return f"{counts}{points}{row.shapes:10.2f}{row.eyes:9.3f}{row.width:7.0f}"


def _exceeds(row: Agreement) -> bool:
    return row.ours < row.theirs or any(
        getattr(row, name) > limit for name, limit in LIMITS.items()
    )


if __name__ == "__main__":
    sys.exit(main())
