"""Text encoders of Hugging Face: read from a folder or the local cache, never from the network.

What is fetched is data alone: the architecture and the tokenizer as JSON, tensors as safetensors.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.errors import DataError, MissingError, shown
from traitscope.extras import require
from traitscope.files import check_regular
from traitscope.weights import model_folder

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Nothing is fetched, and the code that some encoders bring along is never run."""
LARGEST_JSON = 64 * 2**20
WHY = "Reading text with a transformer"

_TOKENS = 4096
"""Computed at once, padding included: a processor gains nothing from more, and a network of a
hundred million parameters takes some 200 MB for them."""

Batch = tuple[list[int], NDArray[np.int64], NDArray[np.bool_]]


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
        settings = plain(self.architecture)
        try:
            kind = settings.pop("model_type")
            if kind not in _kinds():
                raise ValueError(f"{shown(kind)} is no text encoder")
            config = transformers.AutoConfig.for_model(kind, **settings)
            network = transformers.AutoModel.from_config(config, trust_remote_code=False)
        except Exception as error:  # whatever two packages raise of settings that are none
            raise DataError(
                f"No encoder can be built from {shown(dict(self.architecture))}: {error}"
            ) from error
        if getattr(network, "pooler", None) is not None:
            network.pooler = None  # tokens are averaged instead, so it would never train
        return network

    def tokens(
        self, texts: Sequence[str], longest: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Ids and mask (texts, tokens) of the first tokens of each text."""
        return _side_by_side(self._sequences(texts, longest))

    def batches(self, texts: Sequence[str], longest: int) -> Iterator[Batch]:
        """The same in parts, texts of similar length together, so that little is padded.

        Yields:
            Places of some texts, and their ids and mask (texts, tokens).
        """
        sequences = self._sequences(texts, longest)
        order = sorted(range(len(sequences)), key=lambda place: len(sequences[place]))
        first = 0
        while first < len(order):
            places = order[first:]
            # Rising lengths: the last of a part is the width of all of it.
            fits = [n * len(sequences[place]) <= _TOKENS for n, place in enumerate(places, 1)]
            places = places[: max(1, sum(fits))]
            first += len(places)
            yield (places, *_side_by_side([sequences[place] for place in places]))

    def _sequences(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        tokenizer = _tokenizer(self.tokenizer)
        tokenizer.enable_truncation(longest)
        tokenizer.no_padding()
        # An empty text is one filler: networks cannot average nothing.
        return [encoding.ids or [0] for encoding in tokenizer.encode_batch(list(texts))]


@lru_cache(maxsize=2)
def _tokenizer(description: str) -> Any:
    """Read a tokenizer once: of a real vocabulary that takes as long as a dozen short texts."""
    tokenizers = require("tokenizers", extra="text", why=WHY)
    return tokenizers.Tokenizer.from_str(description)


def _side_by_side(sequences: Sequence[Sequence[int]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    shape = (len(sequences), max(map(len, sequences), default=1))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for row, one in enumerate(sequences):
        ids[row, : len(one)], mask[row, : len(one)] = one, True
    return ids, mask


def text_vectors(
    encoder: Encoder, network: Any, texts: Sequence[str], longest: int
) -> tuple[Any, NDArray[np.int64]]:
    """Encode texts, many at a time: each gets what it gets alone, up to rounding.

    Args:
        encoder: of the texts.
        network: in evaluation mode, on any device.
        texts: in any order.
        longest: tokens that are read of each.

    Returns:
        The mean over the tokens of each text (texts, width), as a tensor, and how many there are.
    """
    torch = require("torch", extra="text", why=WHY)
    from traitscope.nn.heads import masked_mean  # loads torch, which names of encoders need not

    device = next(network.parameters()).device
    parts, order, counts = [], [], np.zeros(len(texts), np.int64)
    for places, ids, mask in encoder.batches(texts, longest):
        seen = torch.from_numpy(mask).to(device)
        output = network(torch.from_numpy(ids).to(device), attention_mask=seen.long())
        parts.append(masked_mean(output.last_hidden_state, seen))
        order += places
        counts[places] = mask.sum(axis=1)
    back = np.argsort(order)
    return torch.cat(parts)[torch.from_numpy(back).to(device)], counts


def read_encoder(name: str) -> Encoder:
    """Read an encoder from a folder, ``pypi:NAME``, or by its name from the cache.

    Raises:
        MissingError: it is not on this machine, or the extra is not installed.
    """
    transformers = require("transformers", extra="text", why=WHY)
    name = str(model_folder(name))
    _check_folder(name)
    try:
        config = transformers.AutoConfig.from_pretrained(name, **LOCAL)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **LOCAL)
        text = tokenizer.backend_tokenizer.to_str()
    except (OSError, ValueError, AttributeError) as error:
        raise absent(name) from error
    settings = json.loads(config.to_json_string(use_diff=True))
    return Encoder({**plain(settings), "model_type": config.model_type}, text)


def fill(network: Any, name: str) -> None:
    """Give a network the tensors of an encoder in a folder or the cache, from safetensors alone.

    Raises:
        MissingError: they are not on this machine.
    """
    transformers = require("transformers", extra="text", why=WHY)
    transformers.utils.logging.disable_progress_bar()  # a bar per clip and process otherwise
    name = str(model_folder(name))
    try:
        source = transformers.AutoModel.from_pretrained(name, use_safetensors=True, **LOCAL)
    except (OSError, ValueError) as error:
        raise absent(name) from error
    tensors = source.state_dict()
    network.load_state_dict({key: tensors[key] for key in network.state_dict()})


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an architecture without those that name code, kernels or files of others."""
    foreign = {"architectures", "transformers_version", "auto_map", "quantization_config"}
    return {
        key: value
        for key, value in settings.items()
        if key not in foreign and not key.startswith("_") and "implementation" not in key
    }


def _kinds() -> frozenset[str]:
    """Model types of transformers that read text; others may fetch a network to stand on."""
    from transformers.models.auto import modeling_auto as known

    return frozenset(known.MODEL_FOR_MASKED_LM_MAPPING_NAMES).union(
        known.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES, known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    )


def _check_folder(name: str) -> None:
    """Refuse a folder whose settings or tokenizer are no plain files of a sane size."""
    folder = Path(name)
    for path in folder.glob("*.json") if folder.is_dir() else ():
        check_regular(path, largest=LARGEST_JSON)


def absent(name: str) -> MissingError:
    """Say that an encoder is not on this machine."""
    return MissingError(
        f"The text encoder {name!r} is not on this machine, has no safetensors and fast tokenizer, "
        f"or brings code of its own, which is never run. Fetch it with: hf download {name}; or "
        f"name a folder that holds one."
    )


def byte_encoder(architecture: Mapping[str, Any]) -> Encoder:
    """An encoder to be trained from scratch, whose tokens are bytes (256 and a filler)."""
    tokenizers = require("tokenizers", extra="text", why=WHY)
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": 0, **{letter: n for n, letter in enumerate(letters, 1)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Encoder({**architecture, "vocab_size": len(vocabulary)}, tokenizer.to_str())
