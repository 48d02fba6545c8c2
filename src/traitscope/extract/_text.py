"""What extractors of text share: whose transcript they read, and its words.

Settings with a language in; the text of a clip out.
"""

from traitscope.extract import transcript
from traitscope.types import Inputs


class TextConfig(transcript.Words):
    """Settings of what reads a transcript."""

    language: str = "en"
    """Of the transcript."""
    speaker: str | None = None
    """Whose words of the transcript, where speakers are labelled; everybody's when left out."""

    @property
    def transcript(self) -> transcript.Config:
        """Settings of the transcript that is read."""
        own = {name: getattr(self, name) for name in transcript.Config.model_fields}
        return transcript.Config(**own)


def text_of(inputs: Inputs) -> str:
    """Give the words of a clip, which are its transcript's one row."""
    row = inputs.streams["transcript"].values
    assert row is not None
    return str(row[0])
