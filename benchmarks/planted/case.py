"""What one row of the table of planted traits is: a model at reduced size, and what it can know."""

from dataclasses import dataclass

VOICE = ("pitch", "pitch_range", "loudness")
"""What no picture shows; pauses and the rate of speech move the mouth."""
FACE = ("smile", "mouth", "blink", "brow", "turn", "gaze", "nod", "tilt", "bow")
"""What nobody hears."""
ORDER = ("rate", "pauses")
"""What the spectrum of a whole clip has no trace of."""
WORDS = (*FACE, *VOICE, "rate")
"""What the transcripts say nothing of: they are words at random, more of them with fewer pauses."""


@dataclass(frozen=True)
class Case:
    """A model at reduced size.

    Attributes:
        recipe: what is trained.
        settings: for a corpus of 600 clips; what is not here is as published. ``{folder}`` is the
            folder of the benchmark.
        streams: those whose backend is chosen; none for a model with a backend of its own.
        hidden: behaviours that its streams cannot carry.
        faint: behaviours that are neither counted as attainable nor held against it: a smile
            opens the mouth a little.
        start: the case whose run it starts from.
        first: the case whose scores of frames it learns from.
        out_of_fold: whether those are of networks that had not seen the clip.
        why: what keeps it from its streams' traits at this size, where something does.
    """

    recipe: str
    settings: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    faint: tuple[str, ...] = ()
    start: str = ""
    first: str = ""
    out_of_fold: bool = False
    why: str = ""


def adam(lr: float, epochs: int, batch: int, *, decay: float = 0.0005) -> tuple[str, ...]:
    """AdamW under a cosine, for networks that start from random weights.

    Published rates were made for ImageNet weights and thousands of clips, and would not move them.
    """
    return (
        "train.optimizer=adamw",
        "train.schedule=cosine",
        "train.milestones=[]",
        "train.warmup_epochs=2",
        f"train.lr={lr}",
        f"train.epochs={epochs}",
        f"train.batch_size={batch}",
        f"train.weight_decay={decay}",
    )


FACES = ("features.faces.size=64", "model.size=64")
FRAMES = ("features.frames.size=128", "model.size=96")
UNMIRRORED = ("augment.flip.probability=0",)
"""To which side a head turns is a trait here, which nobody who was mirrored could show."""
CHANNELS = ("model.channels=[8,16,32,64]",)
