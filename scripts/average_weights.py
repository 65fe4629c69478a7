"""Makes one model of several of a training, and calibrates its scores.

    python scripts/average_weights.py weights/step-*.keras --output=claran_v1.keras

The weights are the means of those of the models, which lie in one valley of the loss
if they are of one training (Izmailov et al. 2018, arXiv:1803.05407). A network that
learns from simulated fields until its rate is zero knows details that real ones lack;
the mean of earlier ones knows them less. The temperature is fitted to validation
fields as at the end of a training.
"""

from pathlib import Path

import numpy as np
from absl import app, flags

from claran import accelerator
from claran.detection.detection_model import DetectionModel
from claran.detection.loading import load_model, save_model
from claran.simulation.endless import SIMULATED, SimulatedFields
from claran.training.calibration import fit_temperature

FLAGS = flags.FLAGS
VALIDATION_SEED = 2**31  # Of `--mode=train` with its default seed.


def main(arguments: list[str]) -> None:
    """Averages, calibrates and saves."""
    paths = [Path(one) for one in arguments[1:]]
    if len(paths) < 2:
        raise app.UsageError(f"give two models or more, got {len(paths)}.")
    accelerator.use_accelerator()
    model = average([load_model(path) for path in paths])
    fields = SimulatedFields(
        FLAGS.fields, seed=VALIDATION_SEED, **SIMULATED[FLAGS.data]
    )
    temperature = fit_temperature(model, fields)
    save_model(model, Path(FLAGS.output))
    print(f"{FLAGS.output}: {len(paths)} models, a temperature of {temperature}.")  # noqa: T201


def average(models: list[DetectionModel]) -> DetectionModel:
    """Returns the first model, with the mean weights of all."""
    parts = zip(*(model.network.get_weights() for model in models), strict=True)
    first = models[0]
    first.network.set_weights([np.mean(part, axis=0) for part in parts])
    first.network.decoder.temperature = 1.0
    return first


if __name__ == "__main__":
    flags.DEFINE_string("output", None, "Model to write.", required=True)
    flags.DEFINE_string("data", "simulated/surveys", "Fields to calibrate on.")
    flags.DEFINE_integer("fields", 500, "Number of them.", lower_bound=1)
    app.run(main)
