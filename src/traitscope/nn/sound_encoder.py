"""Sound encoders of Hugging Face that read the waveform: from a folder or the local cache alone.

In: a name, then mono sound at 16 kHz. Out: a vector about every 20 ms. What is read is data alone:
settings as JSON, tensors as safetensors; code that an encoder brings along is never run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError, MissingError
from traitscope.extras import require
from traitscope.files import check_regular
from traitscope.nn.text_encoder import LARGEST_JSON, LOCAL

KINDS = frozenset(
    {
        *("wav2vec2", "wav2vec2-conformer", "hubert", "wavlm", "data2vec-audio"),
        *("unispeech", "unispeech-sat", "sew", "sew-d"),
    }
)
"""Model types of transformers that take samples; others take spectrograms of their own kind."""
WHY = "Embedding sound with a transformer"
LEAST_SAMPLES = 400
"""At 16 kHz: below it the convolutions of these encoders give no row at all."""


@dataclass(frozen=True)
class SoundEncoder:
    """A network that hears, with how it wants its sound.

    Attributes:
        network: of transformers, in evaluation mode.
        normalise: each stretch of sound gets mean 0 and variance 1, as the encoder was taught.
    """

    network: Any
    normalise: bool

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode one stretch: (samples,) at 16 kHz -> (rows, features)."""
        torch = require("torch", extra="text", why=WHY)
        sound = samples.astype(np.float32)
        if self.normalise:
            sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
        with torch.inference_mode():
            output = self.network(torch.from_numpy(np.ascontiguousarray(sound))[None])
        rows: NDArray[np.float32] = output.last_hidden_state[0].float().numpy()
        return rows


def read_sound_encoder(name: str) -> SoundEncoder:
    """Read an encoder from a folder, or by its name from the cache.

    Raises:
        MissingError: it is not on this machine, or the extra is not installed.
        DataError: it is no encoder of waveforms.
    """
    transformers = require("transformers", extra="text", why=WHY)
    folder = Path(name)
    for path in folder.glob("*.json") if folder.is_dir() else ():
        check_regular(path, largest=LARGEST_JSON)
    transformers.utils.logging.disable_progress_bar()  # a bar per clip and process otherwise
    try:
        config = transformers.AutoConfig.from_pretrained(name, **LOCAL)
        if config.model_type not in KINDS:
            raise DataError(
                f"{name!r} is a {config.model_type!r}, which does not read waveforms. There are: "
                f"{', '.join(sorted(KINDS))}."
            )
        network = transformers.AutoModel.from_pretrained(name, use_safetensors=True, **LOCAL)
        settings = transformers.utils.cached_file(
            name, "preprocessor_config.json", local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise MissingError(
            f"The sound encoder {name!r} is not on this machine, has no safetensors, or brings "
            f"code of its own, which is never run. Fetch it with: hf download {name}; or name a "
            f"folder that holds one."
        ) from error
    wanted = json.loads(Path(settings).read_text("utf-8")) if settings else {}
    return SoundEncoder(network.eval(), bool(wanted.get("do_normalize", True)))
