"""Series of numbers at one length, for networks whose size depends on it.

In: a batch with a stream of rows. Out: as many rows for every clip, whatever else is in the batch.
"""

from torch import Tensor
from torch.nn import functional

from traitscope.types import Batch, Draw, Rows


def signal_draws(columns: tuple[str, ...], rows: int) -> dict[str, Draw]:
    """Draw facial signals of every frame: a random run of rows in training, else the middle.

    Args:
        columns: patterns of their names.
        rows: of a run.
    """
    return {
        "signals": Draw(
            train=Rows("window", rows),
            evaluate=Rows("center", rows),
            extract={"rate": "native"},
            columns=columns,
            standardize=True,
        )
    }


def to_length(batch: Batch, stream: str, rows: int) -> Tensor:
    """Rows of a stream, zero where one is missing, cut or filled with zeros to a length.

    A clip alone and the same clip beside a longer one give the same rows; of standardised streams
    zero is the mean.

    Args:
        batch: with a stream (clips, rows, ...).
        stream: its name.
        rows: of the result.

    Returns:
        (clips, rows, ...).
    """
    values, mask = batch.streams[stream], batch.masks[stream]
    features = values.ndim - mask.ndim
    values = values * mask.reshape(*mask.shape, *[1] * features)
    # Padding is counted from the last axis back; that of the rows is the second of all. A whole
    # length of zeros, and then a cut: how much is lacking would be one number to an exporter.
    return functional.pad(values[:, :rows], (*[0, 0] * features, 0, rows))[:, :rows]
