"""The 88 functionals of eGeMAPSv02, the extended Geneva set, by openSMILE (research licence)."""

from functools import partial

from traitscope.extract._opensmile import Config, Functionals

__all__ = ["NEEDS", "VERSION", "Config", "Extractor"]

VERSION = 3
NEEDS = ("audio",)

Extractor = partial(Functionals, feature_set="eGeMAPSv02")
