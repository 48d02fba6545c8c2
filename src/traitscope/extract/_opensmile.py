"""Functionals of a clip by openSMILE, which is free for research only: read its licence."""

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from traitscope import extras
from traitscope.config import Config as BaseConfig
from traitscope.errors import ClipError
from traitscope.types import Inputs, Stream


class Config(BaseConfig):
    """Settings of the functionals."""

    sample_rate_hz: PositiveInt = 16000
    """Samples per second of the sound they are computed from."""


class Functionals:
    """Compute the functionals of one clip.

    Args:
        config: says from which sound.
        feature_set: openSMILE's name, such as ``eGeMAPSv02``.
    """

    def __init__(self, config: Config, *, feature_set: str) -> None:
        self._feature_set = feature_set

    def finish(self, inputs: Inputs) -> Stream:
        """Give one row (1, features), at the middle of the clip.

        Raises:
            MissingError: openSMILE is not installed.
            ClipError: the sound is too short for it.
        """
        feature_set = self._feature_set
        opensmile = extras.require("opensmile", extra="audio", why=f"The feature set {feature_set}")
        assert inputs.waveform is not None
        smile = opensmile.Smile(
            feature_set=getattr(opensmile.FeatureSet, feature_set),
            feature_level=opensmile.FeatureLevel.Functionals,
        )
        table = smile.process_signal(
            np.array(inputs.waveform.samples), inputs.waveform.sample_rate_hz
        )
        values: NDArray[np.float32] = table.to_numpy(dtype=np.float32)
        if not np.isfinite(values).any():
            raise ClipError(
                f"The sound of clip {inputs.clip.id!r} is too short for {feature_set}. Leave the "
                f"clip out.",
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
