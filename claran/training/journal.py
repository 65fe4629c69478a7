"""The log of a training: a table, TensorBoard files and plots of the curves."""

import csv
import math
from pathlib import Path
from typing import Any

from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from tensorboardX import SummaryWriter

from claran.figures.isolation import new_figure, own_style
from claran.io.atomic import replace_file
from claran.training.joint import LOSSES

__all__ = ["COLUMNS", "Journal", "read_log"]

LOG, BOARD, CURVES = "log.csv", "tensorboard", "curves.png"

COLUMNS: tuple[str, ...] = (
    "step", *LOSSES, "loss", "gradient_norm", "learning_rate", "images_per_second",
    "validation_map",
)  # fmt: skip
"""Columns of the table. Losses are means since the previous row."""


class Journal:
    """Writes `log.csv`, `curves.png` and the folder `tensorboard`.

    Args:
        folder: Folder of the log.
        step: Step that training starts from. Rows of later steps, written before an
            interruption, are removed, as these steps are repeated.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        path = folder / LOG
        old = read_log(path) if path.exists() else []
        self.rows = [row for row in old if row["step"] <= step]
        replace_file(path, self._write_table)
        self._board = SummaryWriter(str(folder / BOARD), purge_step=step + 1)

    def add(self, row: dict[str, float]) -> None:
        """Appends a row to the log. Columns that it lacks stay empty.

        Args:
            row: Values by column; `step` is required.
        """
        self.rows.append(row)
        replace_file(self.folder / LOG, self._write_table)
        replace_file(self.folder / CURVES, self._draw)
        for name, value in row.items():
            if name != "step":
                self._board.add_scalar(name, value, int(row["step"]))
        self._board.flush()

    def close(self) -> None:
        """Closes the TensorBoard file."""
        self._board.close()

    def _write_table(self, path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    @own_style()
    def _draw(self, path: Path) -> None:
        figure = new_figure(9, 6)
        losses, rate, accuracy = figure.subplots(
            3, 1, sharex=True, height_ratios=[3, 1, 2]
        )
        for name in (*LOSSES, "loss"):
            losses.plot(*self._curve(name), label=name.replace("_", " "))
        losses.set(ylabel="loss", yscale="log")
        # Matplotlib's own text for powers of ten is mathtext.
        losses.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        losses.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        losses.yaxis.set_minor_formatter(NullFormatter())
        losses.legend()
        rate.plot(*self._curve("learning_rate"))
        rate.set(ylabel="learning rate")
        accuracy.plot(*self._curve("validation_map"), marker="o")
        accuracy.set(xlabel="step", ylabel="validation mAP", ylim=(0, 1))
        figure.savefig(path)

    def _curve(self, name: str) -> tuple[list[float], list[float]]:
        points = [
            (row["step"], row[name])
            for row in self.rows
            if math.isfinite(row.get(name, math.nan))
        ]
        return [x for x, _ in points], [y for _, y in points]


def read_log(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a `log.csv`, without empty cells."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {
            name: int(text) if name == "step" else float(text)
            for name, text in row.items()
            if text
        }
        for row in rows
    ]
