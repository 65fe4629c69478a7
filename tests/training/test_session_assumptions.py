"""What is assumed of a training's fields is said before it begins."""

import numpy as np
import pytest

from claran.fields.field import Field
from claran.labels import RGZ_CLASSES
from claran.sky.images import SkyImage
from claran.training.session import TrainingSession, train_detector


class SaidError(Exception):
    """The first message, which ends the training before it takes any time."""


class Source:
    """Three fields, of which one has a beam."""

    class_names = RGZ_CLASSES
    has_radio = True
    fingerprint = "of a test"

    def __len__(self):
        return 3

    def __getitem__(self, index):
        image = SkyImage(
            values=np.eye(40, dtype=np.float32),
            pixel_arcsec=1.8,
            beam=None if index else (5.4, 5.4, 0.0),
        )
        return Field(f"f{index}", image=image, noise=1.0)


def test_a_beam_that_is_assumed_is_said_first(tmp_path):
    def tell(message):
        raise SaidError(message)

    session = TrainingSession(output=tmp_path, steps=1, workers=0)
    with pytest.raises(
        SaidError,
        match=r"^Note: no beam: assumed FIRST's, 5\.4 arcsec, in 2 of 3 fields "
        r"\(first .*\); "
        r"give --survey or --beam to change this\.$",
    ):
        train_detector(session, Source(), tell=tell)
