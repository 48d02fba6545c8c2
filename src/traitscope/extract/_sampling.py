"""Which moments of a clip an extractor looks at: its settings -> a rate or a spread of moments."""

import zlib
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from traitscope.config import Config as BaseConfig
from traitscope.media import Rate, Spread

FramesPerSecond = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Sampled(BaseConfig):
    """Settings of extractors that choose their moments by a rule."""

    rule: Literal["rate", "even", "segments", "random", "window"] = "rate"
    """So many per second, or `count` over the clip: in the middle of equal parts (even), at a
    random moment of each part (segments) or anywhere (random); or as many that follow one another,
    every frame of the middle of the clip (window)."""
    rate: FramesPerSecond | Literal["native"] = 5.0
    """Rows per second, or every frame; of the rule rate alone."""
    count: PositiveInt | None = None
    """Moments over the clip, for every rule but rate."""
    seed: int = 0
    """Of the random rules; each clip has moments of its own."""

    @model_validator(mode="after")
    def _count_goes_with_the_rule(self) -> Self:
        if (self.rule == "rate") != (self.count is None):
            wrong = "needs a count" if self.count is None else "takes no count, but a rate"
            raise ValueError(f"the rule {self.rule!r} {wrong}")
        if self.rule != "rate" and self.rate != type(self).model_fields["rate"].default:
            raise ValueError(f"the rule {self.rule!r} takes no rate, but a count")
        return self


def moments(config: BaseConfig, clip_id: str) -> Rate | Spread:
    """What an extractor with these settings wants to see of a clip."""
    if not isinstance(config, Sampled) or config.rule == "rate":
        rate: Rate = config.rate  # type: ignore[attr-defined]
        return rate
    assert config.count is not None
    seed = (
        0 if config.rule in {"even", "window"} else zlib.crc32(f"{config.seed}:{clip_id}".encode())
    )
    return Spread(config.rule, config.count, seed)
