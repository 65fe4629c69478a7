"""A bar that shows how much of the sky is done, how fast, and the time that is left."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

__all__ = ["progress"]

AREA_BAR = (
    "{desc}: {percentage:3.0f}%|{bar}| {n:.4g}/{total:.4g} {unit} "
    "[{elapsed}<{remaining}, {per_hour}]"
)


@contextlib.contextmanager
def progress(
    name: str,
    made: Sequence[bool],
    areas: Sequence[float] | np.ndarray | None,
    unit: str,
    *,
    shown: bool = True,
) -> Iterator[Callable[[bool], None]]:
    """Context with a progress bar on a terminal.

    Args:
        name: What is done.
        made: Whether each item was there before. These do not count for the speed.
        areas: Area of each item; None to count items.
        unit: Unit of the areas.
        shown: Whether there is a bar at all.

    Yields:
        A function to call after each item in turn, with its entry of `made`.
    """
    sizes = [1] * len(made) if areas is None else [float(area) for area in areas]
    before = sum(size for size, there in zip(sizes, made, strict=True) if there)
    options: dict[str, Any] = {"total": sum(sizes), "initial": before}
    options["disable"] = None if shown else True  # None: not without a terminal.
    if areas is None:
        bar = tqdm(desc=name, unit="part", **options)
    else:
        bar = AreaBar(desc=name, unit=unit, bar_format=AREA_BAR, **options)
    turns = iter(sizes)

    def advance(there: bool) -> None:
        size = next(turns)
        bar.update(0 if there else size)

    with bar:
        yield advance


class AreaBar(tqdm):
    """A progress bar with the speed per hour."""

    @property
    def format_dict(self) -> dict[str, Any]:
        found = super().format_dict
        rate = found["rate"]
        if rate is None and found["elapsed"]:
            rate = (found["n"] - found["initial"]) / found["elapsed"]
        shown = "?" if rate is None else f"{3600 * rate:.4g}"
        return {**found, "per_hour": f"{shown} {self.unit}/h"}
