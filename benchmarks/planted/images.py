"""Models that score one picture at a time, and those that join pictures with sound."""

from benchmarks.planted.case import CHANNELS, FACES, FRAMES, UNMIRRORED, VOICE, Case, adam

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
_VGG = (
    "model.input=faces",
    *FACES,
    *UNMIRRORED,
    "model.width=8",
    "model.images=6",
    "model.evaluation_images=20",
    *adam(0.001, 30, 16),
)

IMAGES = {
    "face_cnn": Case(
        "face_cnn",
        (
            *FACES,
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
    "dan": Case("dan", ("model.dense=false", *_VGG), ("faces",), VOICE),
    "cam_dan": Case("cam_dan", _VGG, ("faces",), VOICE),
    "image_backbone": Case(
        "convnext",
        (
            *FACES,
            # Every other frame: a second stage looks for blinks and syllables in its scores.
            "features.faces.rate=12.5",
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
    "persemon": Case(
        "persemon",
        (
            *FACES,
            *UNMIRRORED,
            "model.faces=8",
            "model.features=64",
            "model.width=8",
            *adam(0.001, 30, 16),
        ),
        ("faces",),
        VOICE,
    ),
    "ambfac": Case(
        "ambfac",
        (
            "model.backbone=resnet18",
            "model.pretrained=false",
            "features.embedding.size=112",
            *adam(0.001, 40, 16),
        ),
        hidden=VOICE,
        why="its backbone is frozen, and has random weights here instead of ImageNet's",
    ),
}

SEEN_AND_HEARD = {
    "bimodal_lstm": Case(
        "bimodal_lstm",
        (*FACES, *UNMIRRORED, "model.units=128", "model.hidden=64", *adam(0.001, 60, 16)),
        ("faces",),
    ),
    "bimodal_resnet18": Case(
        "bimodal_resnet18", (*FRAMES, *UNMIRRORED, *CHANNELS, *adam(0.001, 40, 16))
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
    "crnet": Case(
        "crnet",
        (
            *FRAMES,
            *UNMIRRORED,
            "features.faces.size=64",
            "model.face_size=64",
            "model.samples=60000",
            "model.depth=18",
            *CHANNELS,
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
