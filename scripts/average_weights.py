"""Averages the weights of models that were trained one from the other: `--help`.

    python scripts/average_weights.py --output=mean.keras before.keras after.keras

The scores of the mean are calibrated on simulated fields that no training has learned
from, as a training does at its end. `make weights` makes those of claran_v1 with it.
"""

from pathlib import Path

from absl import app, flags

from claran import accelerator
from claran.commands.common import UsageError
from claran.commands.data_flags import SPLITS
from claran.commands.outputs import output_file, refuse_inputs
from claran.detection.loading import save_model
from claran.models.weights import WeightsError
from claran.simulation.endless import SIMULATED, SimulatedFields
from claran.training.calibration import fit_temperature
from claran.training.mean_models import mean_model

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "File to write (.keras).", required=True)
flags.DEFINE_integer("fields", 500, "Fields to calibrate on.", lower_bound=1)


def main(arguments: list[str]) -> None:
    """Writes the mean, and prints its temperature."""
    paths = [Path(name) for name in arguments[1:]]
    if len(paths) < 2:
        raise app.UsageError("give the files of two or more models.")
    try:
        output = output_file("mean.keras")
        if output.suffix != ".keras":
            raise UsageError(f"--output must end in .keras, got {output}.")
        refuse_inputs([output], paths)
    except UsageError as error:
        raise app.UsageError(str(error)) from error
    accelerator.use_accelerator()
    source = SimulatedFields(
        FLAGS.fields, seed=SPLITS["validation"], **SIMULATED["simulated/surveys"]
    )
    try:
        model = mean_model(paths)
    except (ValueError, WeightsError) as error:
        raise app.UsageError(str(error)) from error
    temperature = fit_temperature(model, source)
    save_model(model, output)
    print(f"{output}: a temperature of {temperature}.")  # noqa: T201


if __name__ == "__main__":
    app.run(main)
