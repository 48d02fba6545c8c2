"""What an explanation should find of each planted trait, and the models at reduced size."""

from dataclasses import dataclass

FACE, SOUND = ("signals", "faces"), ("short_term",)


@dataclass(frozen=True)
class Planted:
    """What an explanation of a trait should find.

    Attributes:
        streams: any of these.
        regions: of pictures, any of these; all where the whole head moves.
    """

    streams: tuple[str, ...]
    regions: tuple[str, ...] = ()


PLANTED = {
    "agreeableness": Planted(FACE, ("mouth", "cheeks")),  # a smile folds them
    "openness": Planted(FACE, ("brows",)),
    "conscientiousness": Planted(FACE),
    "extraversion": Planted(SOUND),
}
"""Smile, brows, turned heads and loudness; what drives neuroticism is both seen and heard."""
BEHAVIOURS = ("smile", "brow", "turn", "loudness", "pauses")


@dataclass(frozen=True)
class Case:
    """A model at reduced size.

    Attributes:
        traits: the planted ones that it can see or hear.
        settings: of its training on the clips with episodes.
        before: other settings of a training before that, on short clips of more people who behave
            so all along; none for models that need no such help.
    """

    traits: tuple[str, ...]
    settings: tuple[str, ...]
    before: tuple[str, ...] = ()

    @property
    def early(self) -> tuple[str, ...]:
        """All settings of the training before."""
        pairs = [one.split("=", 1) for one in (*self.settings, *self.before)]
        return tuple(f"{key}={value}" for key, value in dict(pairs).items())


_FACES = (
    "features.faces.size=64",
    "features.faces.backend=mediapipe",
    "features.faces.rate=10",
    "model.size=64",
)
_ADAM = ("train.optimizer=adamw", "train.schedule=cosine", "train.milestones=[]")

CASES = {
    "functionals": Case(tuple(PLANTED), ("features.signals.backend=mediapipe",)),
    "au_hybrid": Case(
        ("agreeableness", "openness", "conscientiousness"),
        (
            "features.signals.backend=mediapipe",
            "model.width=32",
            "model.units=16",
            "model.channels=[32,32]",
            "model.kernels=[5,3]",
            "model.hidden=[32]",
            "augment.noise.sd=0.2",
            "train.lr=0.003",
            "train.epochs=40",
            "train.batch_size=16",
            "train.passes=1",
        ),
    ),
    "image_backbone": Case(
        ("agreeableness", "openness"),
        (
            *_FACES,
            "data.targets=[openness,agreeableness]",
            "model.input=faces",
            "model.backbone=resnet18",
            "model.options.channels=[16,24,32,48]",
            "model.images=8",
            "model.evaluation_images=10",
            "augment.colour.brightness=0.2",
            *_ADAM,
            "train.weight_decay=0.02",
            # Few small steps: a network that knows faces forgets them for 54 people.
            "train.lr=0.00003",
            "train.epochs=3",
            "train.batch_size=16",
        ),
        ("model.images=2", "train.lr=0.002", "train.epochs=20"),
    ),
    "resnet_lstm": Case(
        ("agreeableness", "openness", "extraversion"),
        (
            *_FACES,
            "data.targets=[openness,extraversion,agreeableness]",
            "model.segments=5",
            "model.backbone=resnet18",
            "model.width=0.125",
            "model.pretrained=false",
            "model.unfreeze=layers",
            "model.windows=0",
            "model.face_pixels=0",
            "model.pool=average",
            "model.hidden=64",
            "model.embedding=32",
            "model.units=32",
            "model.bidirectional=true",
            "augment.noise.sd=0.2",
            "train.early_stop=0",
            "train.steps_per_epoch=0",
            "train.lr=0.0001",
            "train.epochs=4",
            "train.batch_size=16",
        ),
        ("train.lr=0.002", "train.epochs=16"),
    ),
}
"""Model -> how it is trained here."""
