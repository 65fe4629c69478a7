"""The mean of several models of a training, or of two, for data of another kind.

Late in a training on simulated fields a network learns peculiarities of the simulator:
on real cutouts it parts more and more doubles, while it improves on simulated ones.
The mean of the weights along the way lies in a flatter minimum, and is better on data
of another kind (Cha et al. 2021, arXiv:2102.08604; Izmailov et al. 2018,
arXiv:1803.05407); so is the mean of those before and after fine-tuning (Wortsman et al.
2022, arXiv:2109.01903).
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from claran.detection.detection_model import DetectionModel
from claran.detection.loading import load_model, save_model

__all__ = ["average_models", "mean_model", "step_file"]


def step_file(folder: Path, step: int) -> Path:
    """Returns the file of the model of a step."""
    return folder / f"step-{step:06d}.keras"


def mean_model(paths: Sequence[Path]) -> DetectionModel:
    """Returns the first of some saved models, with the mean of their weights.

    Its temperature is 1, to be fitted.

    Args:
        paths: Files of models of the same classes, channels and layers.

    Raises:
        ValueError: A model differs from the first one in one of these.
        WeightsError: A file is damaged.
    """
    models = [load_model(path) for path in paths]
    every = [model.network.get_weights() for model in models]
    kinds = [
        (model.class_names, model.preprocessor, [array.shape for array in arrays])
        for model, arrays in zip(models, every, strict=True)
    ]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            raise ValueError(
                f"{path}: it has other classes, channels or layers than {paths[0]}; "
                "only models that were trained one from the other have a mean."
            )
    model = models[0]
    model.network.set_weights(
        [np.mean(arrays, axis=0) for arrays in zip(*every, strict=True)]
    )
    model.network.decoder.temperature = 1.0
    return model


def average_models(best: Path, *, after: float) -> list[int]:
    """Replaces a saved model by the mean of those of its training that were kept.

    A model that is calibrated already stays. Of several processes only the first one
    does it: see `claran.training.calibration.calibrate`.

    Args:
        best: File of the model, beside `step_file`s.
        after: Models of later steps are averaged.

    Returns:
        The steps of these models; none if nothing was done.

    Raises:
        WeightsError: A file is damaged.
    """
    if jax.process_index() > 0:
        return []
    numbers = (path.stem[5:] for path in best.parent.glob("step-*.keras"))
    steps = sorted(int(one) for one in numbers if one.isdigit() and int(one) > after)
    if not steps:
        return []
    if load_model(best).network.decoder.temperature != 1:
        return []
    save_model(mean_model([step_file(best.parent, step) for step in steps]), best)
    return steps
