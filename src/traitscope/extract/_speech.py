"""Sound as networks of speech take it: all of them were taught at 16 kHz."""

from traitscope.config import Config as BaseConfig

SAMPLE_RATE_HZ = 16_000


class SpeechConfig(BaseConfig):
    """Settings of extractors that hear with such a network."""

    @property
    def sample_rate_hz(self) -> int:
        """What the sound is brought to."""
        return SAMPLE_RATE_HZ
