"""Whose face it is: pictures of one person lie near each other, and far from another."""

import cv2
import numpy as np

from tests.support.recorded_outputs import portrait
from traitscope.extract.face_embedding import Config, Extractor
from traitscope.types import Clip, Inputs, Stream

SAME = 0.6  # dlib's own bound: two pictures that are farther apart show two people


def stream(*pictures: np.ndarray | None) -> Stream:
    images = [
        b"" if one is None else cv2.imencode(".jpg", one[..., ::-1])[1].tobytes()
        for one in pictures
    ]
    valid = np.array([one is not None for one in pictures])
    return Stream(np.arange(len(pictures)), images=images, valid=valid)


def described(*pictures: np.ndarray | None) -> Stream:
    faces = stream(*pictures)
    return Extractor(Config()).finish(Inputs(clip=Clip("c"), streams={"faces": faces}))


def test_one_person_lies_together_in_other_light_and_size_and_a_stranger_apart() -> None:
    face = portrait()
    dark = (face * 0.6).astype(np.uint8)
    stranger = np.random.default_rng(0).integers(0, 255, face.shape, np.uint8)
    values = described(face, dark, cv2.resize(face, (100, 100)), stranger).values
    assert values is not None
    far = np.linalg.norm(values - values[0], axis=1)
    assert (far[1:3] < SAME).all()
    assert far[3] > 1.5 * far[1:3].max()


def test_a_row_without_a_face_stays_without() -> None:
    rows = described(portrait(), None)
    assert rows.mask.tolist() == [True, False]
    assert rows.values is not None
    assert np.isnan(rows.values[1]).all()
