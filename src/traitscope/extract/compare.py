"""The 6373 functionals of ComParE 2016 by openSMILE (extra; research licence)."""

from functools import partial

from traitscope.extract._opensmile import Config, Functionals

__all__ = ["NEEDS", "VERSION", "Config", "Extractor"]

VERSION = 1
NEEDS = ("audio",)

Extractor = partial(Functionals, feature_set="ComParE_2016")
