import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from claran.labels import RGZ_CLASSES
from claran.simulation.endless import SimulatedFields
from claran.simulation.populations import BALANCED

sys.path.insert(0, str(Path(__file__).parent))  # For `small_training`, also a script.


@pytest.fixture
def make_batch():
    """Makes a batch: per picture an object, an ignored object and an empty slot."""

    def make(seed=0, size=4, side=64):
        rng = np.random.default_rng(seed)
        batch = {
            "images": rng.uniform(0, 255, (size, side, side, 3)).astype(np.float32),
            "image_info": np.tile(np.float32([side, side, 1]), (size, 1)),
            "boxes": np.zeros((size, 3, 4), np.float32),
            "labels": np.tile(np.int32([2, 5, 0]), (size, 1)),
            "valid": np.tile([True, False, False], (size, 1)),
            "ignored": np.tile([False, True, False], (size, 1)),
        }
        corner = rng.uniform(0, side / 2, (size, 2, 2))
        sides = rng.uniform(side / 4, side / 2, (size, 2, 2))
        batch["boxes"][:, :2] = np.concatenate([corner, corner + sides], axis=-1)
        return batch

    return make


@dataclasses.dataclass
class Labelled:
    """Fields with the properties of a data set."""

    fields: list
    class_names: tuple = RGZ_CLASSES
    has_radio: bool = True
    fingerprint: str = "of a test"

    def __len__(self):
        return len(self.fields)

    def __getitem__(self, index):
        return self.fields[index]


@pytest.fixture(scope="session")
def make_labelled():
    """Makes a data set of fields."""
    return Labelled


@pytest.fixture(scope="session")
def labelled():
    """A data set of five simulated fields."""
    simulated = SimulatedFields(5, population=BALANCED)
    return Labelled([simulated[i] for i in range(len(simulated))])
