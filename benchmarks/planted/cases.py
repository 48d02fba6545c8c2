"""Every model of the zoo at reduced size, and what its streams cannot carry.

Networks start from random weights here, so that published rates, made for ImageNet weights and
thousands of clips, would not move them: most are trained by AdamW instead.
"""

from dataclasses import dataclass

VOICE = ("pitch", "pitch_range", "loudness")
"""What no picture shows; pauses and the rate of speech move the mouth."""
FACE = ("smile", "mouth", "blink", "brow", "turn", "gaze", "nod", "tilt", "bow")
"""What nobody hears."""
ORDER = ("rate", "pauses")
"""What the spectrum of a whole clip has no trace of."""


@dataclass(frozen=True)
class Case:
    """A model at reduced size.

    Attributes:
        recipe: what is trained.
        settings: for a corpus of 600 clips; what is not here is as published.
        streams: those whose backend is chosen; none for a model with a backend of its own.
        hidden: behaviours that its streams cannot carry.
        start: the case whose run it starts from.
    """

    recipe: str
    settings: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    start: str = ""


def _adam(lr: float, epochs: int, batch: int, *, decay: float = 0.0005) -> tuple[str, ...]:
    return (
        "train.optimizer=adamw",
        "train.schedule=cosine",
        "train.milestones=[]",
        "train.warmup_epochs=2",
        f"train.lr={lr}",
        f"train.epochs={epochs}",
        f"train.batch_size={batch}",
        f"train.weight_decay={decay}",
    )


_FACES = ("features.faces.size=64", "model.size=64")
_FRAMES = ("features.frames.size=128", "model.size=96")
_RESNET = (
    "model.backbone=resnet18",
    "model.width=0.25",
    "model.pretrained=false",
    "model.unfreeze=layers",
    "train.lr=0.001",
    "train.epochs=30",
    "train.early_stop=0",
    "train.batch_size=8",
    "augment.colour.brightness=0.2",
)
_UNMIRRORED = ("augment.flip.probability=0",)
"""To which side a head turns is a trait here, which nobody who was mirrored could show."""
_CHANNELS = ("model.channels=[8,16,32,64]",)
_S2D = (
    "model.size=112",
    "model.patch=16",
    "model.frames=8",
    "model.dim=64",
    "model.depth=3",
    "model.heads=4",
    "model.prompt_dim=8",
    "model.temporal_dim=32",
    "model.temporal_heads=4",
    "model.freeze_backbone=false",
    "model.dropout=0.1",
    "train.optimizer=adamw",
    "train.schedule=cosine",
    "train.warmup_epochs=3",
    "train.lr=0.001",
    "train.weight_decay=0.05",
    "train.epochs=60",
    "train.batch_size=16",
)

CASES = {
    "functionals": Case("functionals", (), ("signals",)),
    "au_hybrid": Case(
        "au_hybrid",
        (
            "model.width=64",
            "model.units=32",
            "model.channels=[32,32,32]",
            "model.kernels=[8,5,3]",
            "model.hidden=[32]",
            "augment.noise.sd=0.2",
            "train.lr=0.002",
            "train.epochs=40",
            "train.batch_size=16",
            "train.passes=1",
        ),
        ("signals",),
        VOICE,
    ),
    "face_cnn": Case(
        "face_cnn",
        (
            *_FACES,
            *_RESNET,
            "model.images=8",
            "model.evaluation_images=20",
            "model.hidden=[64]",
            "model.dropouts=[0.3]",
            "augment.crop.smallest=0.9",
        ),
        ("faces",),
        VOICE,
    ),
    "resnet_lstm": Case(
        "resnet_lstm",
        (
            *_RESNET,
            "train.steps_per_epoch=0",
            "model.windows=0",
            "model.face_pixels=0",
            "model.size=64",
            "model.hidden=64",
            "model.embedding=32",
            "model.units=32",
            "model.bidirectional=true",
            "augment.noise.sd=0.2",
        ),
    ),
    "s2d": Case("s2d", _S2D, ("faces", "landmarks"), VOICE),
    "s2d without landmarks": Case("s2d", (*_S2D, "model.landmarks=none"), ("faces",), VOICE),
    "audio_lstm": Case(
        "audio_lstm", (*_adam(0.003, 100, 32, decay=0.05), "model.dropout=0.3"), hidden=FACE
    ),
    "audio_resnet18": Case("audio_resnet18", (*_adam(0.002, 40, 16), *_CHANNELS), hidden=FACE),
    "audio_spectrum_cnn": Case(
        "audio_spectrum_cnn",
        ("model.bins=8000", *_adam(0.003, 60, 16)),
        hidden=(*FACE, *ORDER),
    ),
    "audio_linear": Case(
        "audio_linear", ("model.rows=400", "train.milestones=[80]", "train.epochs=100"), hidden=FACE
    ),
    "bimodal_lstm": Case(
        "bimodal_lstm",
        (*_FACES, *_UNMIRRORED, "model.units=128", "model.hidden=64", *_adam(0.001, 60, 16)),
        ("faces",),
    ),
    "bimodal_resnet18": Case(
        "bimodal_resnet18", (*_FRAMES, *_UNMIRRORED, *_CHANNELS, *_adam(0.001, 40, 16))
    ),
    "dan": Case(
        "dan",
        (
            "model.input=faces",
            *_FACES,
            *_UNMIRRORED,
            "model.dense=false",
            "model.width=8",
            "model.images=8",
            "model.evaluation_images=20",
            *_adam(0.001, 30, 16),
        ),
        ("faces",),
        VOICE,
    ),
    "image_backbone": Case(
        "convnext",
        (
            *_FACES,
            "model.backbone=test_convnext",
            "model.pretrained=false",
            "model.images=6",
            "model.evaluation_images=20",
            "train.lr=0.002",
            "train.weight_decay=0.02",
            "train.epochs=40",
            "train.batch_size=16",
        ),
        ("faces",),
        VOICE,
    ),
    "vat": Case(
        "vat",
        (
            "model.input=faces",
            "features.faces.size=64",
            *_UNMIRRORED,
            "model.frames=8",
            "model.height=64",
            "model.sampling=spread",
            "model.backbone=test_resnet",
            "model.pretrained=false",
            "model.dim=64",
            "model.heads=4",
            "model.units=2",
            "model.dropout=0.0",
            *_adam(0.003, 60, 16),
        ),
        ("faces",),
        VOICE,
    ),
    "crnet": Case(
        "crnet",
        (
            *_FRAMES,
            *_UNMIRRORED,
            "features.faces.size=64",
            "model.face_size=64",
            "model.samples=60000",
            "model.depth=18",
            *_CHANNELS,
            "train.ranges.optimizer=adamw",
            "train.ranges.lr=0.001",
            "train.ranges.epochs=15",
            "train.ranges.batch_size=16",
            "train.regression.lr=0.001",
            "train.regression.epochs=40",
            "train.regression.milestones=[30]",
            "train.regression.batch_size=16",
            "train.regression.weight_decay=0.0005",
        ),
        ("faces",),
    ),
    "crnet_etr": Case(
        "crnet_etr",
        ("features.faces.size=64", "features.frames.size=128", "model.moments=16"),
        ("faces",),
        start="crnet",
    ),
}
