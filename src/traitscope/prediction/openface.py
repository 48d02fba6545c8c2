"""An OpenFace table + a trained run -> the same table with the predicted traits in every row.

For people who work on rows: a clip's scores stand beside each of its frames. Every cell that was
there stays as it was, to the letter.
"""

from pathlib import Path

from traitscope.errors import ConfigError, DataError
from traitscope.prediction.clips import predict
from traitscope.prediction.inputs import reads_openface, table_clips
from traitscope.runs.checkpoint import Checkpoint
from traitscope.sheets import append_columns, open_sheet
from traitscope.types import Hook, Prediction


def label_rows(
    checkpoint: Checkpoint,
    table: Path,
    to: Path,
    *,
    scores: Path | None = None,
    hook: Hook | None = None,
) -> list[Prediction]:
    """Score the clips of an OpenFace table and write it again with ``predicted_TRAIT`` columns.

    Args:
        checkpoint: a run on signals of the backend ``openface``.
        table: rows per frame, of one clip or (with ``ID`` or ``File``) of many.
        to: the new table; cells of a clip that could not be scored are empty.
        scores: a CSV of the scores, one row per clip.
        hook: called as hook(done, total, name).

    Returns:
        One prediction per clip, in the order of the table.

    Raises:
        ConfigError: the run was trained on another source of signals, or ``to`` is the table.
        DataError: the table has such columns already, or is Parquet.
    """
    if not reads_openface(checkpoint):
        raise ConfigError(
            f"{checkpoint.folder} was not trained on OpenFace's signals, and another source has "
            f"another scale. Train with features.signals.backend=openface, or predict from videos."
        )
    # It holds what was measured, and is not replaced by a copy that somebody may yet doubt.
    if to.resolve() == table.resolve():
        raise ConfigError(f"{to} would overwrite the table. Choose another file.")
    targets = [target.name for target in checkpoint.facts.targets]
    columns = [f"predicted_{name}" for name in targets]
    sheet = open_sheet(table)
    if sheet.lines is None:
        raise DataError(f"{table} is Parquet, whose rows are not written on. Give it as CSV.")
    # Two columns of one name are read as one or the other, by whoever reads them.
    taken = sorted(set(columns) & set(sheet.columns))
    if taken:
        raise DataError(f"{table} has {', '.join(taken)} already. Take the columns out first.")
    # In this process: tables are rows of numbers, and take less than to start another.
    predictions = predict(checkpoint, table, table=scores, workers=0, hook=hook)
    cells = {
        p.clip: [f"{p.scores[name]:.6f}" if p.scores else "" for name in targets]
        for p in predictions
    }
    append_columns(sheet, to, columns, [cells[name] for name in table_clips(table)[1]])
    return predictions
