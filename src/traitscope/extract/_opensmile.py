"""Functionals of a clip by openSMILE, which is free for research only: read its licence."""

import numpy as np
from numpy.typing import NDArray

from traitscope import extras
from traitscope.errors import ClipError
from traitscope.types import Inputs, Stream


def functionals(inputs: Inputs, feature_set: str) -> Stream:
    """Compute one row (1, features) over the whole clip.

    Args:
        inputs: with the sound.
        feature_set: openSMILE's name, such as ``eGeMAPSv02``.

    Raises:
        MissingError: openSMILE is not installed.
        ClipError: the sound is too short for it.
    """
    opensmile = extras.require("opensmile", extra="audio", why=f"The feature set {feature_set}")
    assert inputs.waveform is not None
    smile = opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, feature_set),
        feature_level=opensmile.FeatureLevel.Functionals,
    )
    table = smile.process_signal(np.array(inputs.waveform.samples), inputs.waveform.sample_rate_hz)
    values: NDArray[np.float32] = table.to_numpy(dtype=np.float32)
    if not np.isfinite(values).any():
        raise ClipError(
            f"The sound of clip {inputs.clip.id!r} is too short for {feature_set}. Leave the clip "
            f"out.",
            status="too_short",
        )
    return Stream(
        time=np.array([inputs.waveform.duration_seconds / 2]),
        values=values,
        columns=tuple(map(str, table.columns)),
        info={
            "units": f"openSMILE {opensmile.__version__}, {feature_set}",
            "licence": "openSMILE: free for research only",
        },
    )
