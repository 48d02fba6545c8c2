"""What one row of the table of planted traits is: a model at reduced size, and what it can know."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Knowledge:
    """What a model can know of the planted behaviours.

    Attributes:
        streams: those whose backend is chosen; none for a model with a backend of its own.
        hidden: behaviours that its streams cannot carry.
        faint: behaviours that are neither counted as attainable nor held against it: a smile
            opens the mouth a little.
        why: what keeps it from its streams' traits at this size, where something does.
    """

    streams: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    faint: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Case:
    """A model at reduced size.

    Attributes:
        recipe: what is trained.
        settings: for a corpus of 600 clips; what is not here is as published. ``{folder}`` is the
            folder of the benchmark.
        knows: what it can know.
        start: the case whose run it starts from.
        first: the case whose scores of frames it learns from.
        out_of_fold: whether those are of networks that had not seen the clip.
    """

    recipe: str
    settings: tuple[str, ...] = ()
    knows: Knowledge = Knowledge()
    start: str = ""
    first: str = ""
    out_of_fold: bool = False
