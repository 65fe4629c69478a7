"""Kinds of flags: each is given once, and none is NaN, empty or in a folder named ~."""

import contextlib
import difflib
import math
import os
from collections.abc import Sequence
from typing import Any

from absl import flags

from claran.io.paths import expand_home

__all__ = [
    "Boolean",
    "Choice",
    "Integer",
    "Names",
    "Number",
    "Numbers",
    "Path",
    "Paths",
    "SingleFlag",
    "Text",
]


class SingleFlag(flags.Flag):
    """A flag that may be given once."""

    def parse(self, argument: Any) -> None:
        before, given = self.value, self.present
        super().parse(argument)
        if not given:
            return
        remedy = "give it once"
        if isinstance(self.value, list):
            remedy += ", with a comma between its values"
        if isinstance(self.parser, Paths):
            remedy += " or a pattern such as 'fields/*.fits'"
        raise flags.IllegalFlagValueError(
            f"--{self.name} is given twice, as {_shown(before)} and as "
            f"{_shown(self.value)}; {remedy}."
        )

    def _parse_from_default(self, value: Any) -> Any:
        # A default is not given by the user, and its ~ is expanded where it is used.
        return value


class Boolean(flags.BooleanParser):
    """True or false."""

    def parse(self, argument: Any) -> bool:
        try:
            return super().parse(argument)
        except (TypeError, ValueError):
            raise ValueError(f"{argument} is neither true nor false") from None


class Integer(flags.IntegerParser):
    """A whole number from one limit to another."""

    def convert(self, argument: Any) -> int:
        try:
            return super().convert(argument)
        except ValueError:
            raise ValueError(f"{argument} is not {self.syntactic_help}") from None


class Number(flags.FloatParser):
    """A finite number, above a limit or from one limit to another."""

    def __init__(
        self,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        above: float | None = None,
    ) -> None:
        super().__init__(lower_bound, upper_bound)
        self._above = above
        if above is not None:
            limit = "" if upper_bound is None else f" and at most {upper_bound:g}"
            self.syntactic_help = f"a number above {above:g}{limit}"

    def convert(self, argument: Any) -> float:
        with contextlib.suppress(ValueError):
            value = super().convert(argument)
            if math.isfinite(value):
                return value
        raise ValueError(f"{argument} is not {self.syntactic_help} and finite")

    def is_outside_bounds(self, val: float) -> bool:
        too_low = self._above is not None and val <= self._above
        return too_low or super().is_outside_bounds(val)


class Numbers(flags.ListParser):
    """Finite numbers above 0 with commas between them."""

    def parse(self, argument: Any) -> list[Any]:
        number = Number(above=0)
        return [number.parse(text) for text in super().parse(_not_empty(argument))]


class Names(flags.ListParser):
    """Names with commas between them, each of them once."""

    def parse(self, argument: Any) -> list[str]:
        names = [_not_empty(name) for name in super().parse(_not_empty(argument))]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is there twice; give each name once.")
        return names


class Choice(flags.ArgumentParser):
    """One of a few words."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def parse(self, argument: Any) -> str:
        if argument in self.words:
            return argument
        near = difflib.get_close_matches(str(argument).lower(), self.words, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise ValueError(f"value should be one of {', '.join(self.words)}{hint}")


class Text(flags.ArgumentParser):
    """Any text."""

    def parse(self, argument: Any) -> str:
        return _not_empty(argument)


class Path(flags.ArgumentParser):
    """A path, or a name that stands for one; `~` is the home folder."""

    def parse(self, argument: Any) -> str:
        return expand_home(_not_empty(argument))


class Paths(flags.ListParser):
    """Paths with commas between them; or one path with a comma, if it exists."""

    def parse(self, argument: Any) -> list[str]:
        whole = expand_home(_not_empty(argument))
        if os.path.lexists(whole):
            return [whole]
        return [expand_home(_not_empty(name)) for name in super().parse(argument)]


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; give a value, or leave the flag out.")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)
