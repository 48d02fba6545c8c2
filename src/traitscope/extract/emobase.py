"""The 988 functionals of emobase by openSMILE (extra; research licence)."""

from functools import partial

from traitscope.extract._opensmile import Config, Functionals

__all__ = ["NEEDS", "VERSION", "Config", "Extractor"]

VERSION = 3
NEEDS = ("audio",)

Extractor = partial(Functionals, feature_set="emobase")
