"""Text encoders of Hugging Face: read from a folder or the local cache, never from the network.

What is fetched is data alone: the architecture and the tokenizer as JSON, tensors as safetensors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError, MissingError
from traitscope.extras import require

WHY = "Reading text with a transformer"


@dataclass(frozen=True)
class Encoder:
    """What an encoder is, without its tensors.

    Attributes:
        architecture: settings of the network, with its ``model_type``.
        tokenizer: the tokenizer as JSON.
    """

    architecture: Mapping[str, Any]
    tokenizer: str

    def network(self) -> Any:
        """Build the network, with random tensors."""
        transformers = require("transformers", extra="text", why=WHY)
        settings = dict(self.architecture)
        try:
            config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
            network = transformers.AutoModel.from_config(config)
        except (KeyError, ValueError, TypeError, ImportError, RuntimeError) as error:
            raise DataError(
                f"No encoder can be built from {dict(self.architecture)}: {error}"
            ) from error
        if getattr(network, "pooler", None) is not None:
            network.pooler = None  # tokens are averaged instead, so it would never train
        return network

    def tokens(
        self, texts: Sequence[str], longest: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Ids and mask (texts, tokens) of the first tokens of each text."""
        tokenizers = require("tokenizers", extra="text", why=WHY)
        tokenizer = tokenizers.Tokenizer.from_str(self.tokenizer)
        tokenizer.enable_truncation(longest)
        tokenizer.no_padding()
        # An empty text is one filler: networks cannot average nothing.
        sequences = [encoding.ids or [0] for encoding in tokenizer.encode_batch(list(texts))]
        width = max(map(len, sequences), default=1)
        ids, mask = (
            np.zeros((len(sequences), width), np.int64),
            np.zeros((len(sequences), width), bool),
        )
        for row, one in enumerate(sequences):
            ids[row, : len(one)], mask[row, : len(one)] = one, True
        return ids, mask


def read_encoder(name: str) -> Encoder:
    """Read an encoder from a folder, or by its name from the cache.

    Raises:
        MissingError: it is not on this machine, or the extra is not installed.
    """
    transformers = require("transformers", extra="text", why=WHY)
    try:
        config = transformers.AutoConfig.from_pretrained(name, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, local_files_only=True)
        text = tokenizer.backend_tokenizer.to_str()
    except (OSError, ValueError, AttributeError) as error:
        raise absent(name) from error
    settings = json.loads(config.to_json_string(use_diff=True))
    for key in ("architectures", "transformers_version", "_name_or_path", "auto_map"):
        settings.pop(key, None)
    return Encoder({**settings, "model_type": config.model_type}, text)


def fill(network: Any, name: str) -> None:
    """Give a network the tensors of an encoder in a folder or the cache, from safetensors alone.

    Raises:
        MissingError: they are not on this machine.
    """
    transformers = require("transformers", extra="text", why=WHY)
    transformers.utils.logging.disable_progress_bar()  # a bar per clip and process otherwise
    try:
        source = transformers.AutoModel.from_pretrained(
            name, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise absent(name) from error
    tensors = source.state_dict()
    network.load_state_dict({key: tensors[key] for key in network.state_dict()})


def absent(name: str) -> MissingError:
    """Say that an encoder is not on this machine."""
    return MissingError(
        f"The text encoder {name!r} is not on this machine, or has no safetensors and fast "
        f"tokenizer. Fetch it with: hf download {name}; or name a folder that holds one."
    )


def byte_encoder(architecture: Mapping[str, Any]) -> Encoder:
    """An encoder to be trained from scratch, whose tokens are bytes (256 and a filler)."""
    tokenizers = require("tokenizers", extra="text", why=WHY)
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": 0, **{letter: n for n, letter in enumerate(letters, 1)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Encoder({**architecture, "vocab_size": len(vocabulary)}, tokenizer.to_str())
