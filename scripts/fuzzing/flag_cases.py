"""The kind `flags`: command lines with nonsense."""

from fuzzing.damage import Rng, pick
from fuzzing.sense import Case

LINES = {
    "demo": ("radio=good.fits", "model=good.keras", "output=out", "survey=first",
             "score_threshold=0.1"),
    "predict": ("radio=good.fits,field1.fits", "model=good.keras", "output=out/a.ecsv",
                "beam=5.4", "score_threshold=0.1", "nms_threshold=0.3", "batch_size=2"),
    "eval": ("data=.", "split=all", "model=classical", "output=out", "resamples=5",
             "seed=1", "score_threshold=0.5", "workers=0"),
    "simulate": ("num=1", "output=out", "seed=1", "survey=vlass",
                 "population=balanced"),
    "preview": ("data=.", "split=all", "output=out", "pages=1", "inputs=channels"),
    "convert": ("old_model=good.keras", "output=out/a.keras"),
    "prepare": ("data=rgz/pairs", "manual_dir=.", "data_dir=out", "workers=0"),
    "train": ("data=.", "model=claran_first", "output=out", "steps=2", "slots=4",
              "learning_rate=0.001", "workers=0", "validation_fields=1"),
}  # fmt: skip
"""Good command lines of each mode."""

NUMBERS = ("score_threshold", "nms_threshold", "beam", "learning_rate")
COUNTS = ("num", "resamples", "pages", "steps", "slots", "workers", "validation_fields",
          "seed", "batch_size", "image_size")  # fmt: skip
BAD_COUNTS = ("-1", "nan", "1.5", "text", "", "1e3", "0x10", "--", "[1]")
BAD_NUMBERS = ("nan", "-nan", "-1", "inf", "-inf", "text", "", "0,5", "1e999")
BAD_TEXTS = (
    "", "nothing.fits", ",", ".", "..", "../../x", "~", "~nobody", "good.fits,", "@",
    "*", "@good.fits", "[a", "a\nb", "é", "$x_1$", "\x00", "/dev/null", "x" * 300,
    "rgz/x", "None", "train[", "train[:0]", "all+all", "field1.fits", "-",
)  # fmt: skip
OTHERS = {
    "population=balanced": ("simulate",),
    "pages=2": ("preview",),
    "noaugment": ("preview",),
    "num=3": ("simulate",),
    "resamples=9": ("eval",),
    "ignore_unlabelled": ("eval",),
    "predictions=a.csv": ("eval",),
    "old_model=a.keras": ("convert",),
    "tf_checkpoint=a": ("convert",),
    "radio=good.fits": ("demo", "predict"),
    "steps=3": ("train",),
    "learning_rate=1": ("train",),
}
"""Flags with the modes that have them."""


def make_flags(rng: Rng) -> Case:
    """Returns a command line with one or two faults."""
    mode = pick(rng, sorted(LINES))
    line = [f"--{text}" for text in LINES[mode]]
    fault = pick(rng, ("value", "value", "value", "repeat", "other", "misspelled",
                       "stray", "drop"))  # fmt: skip
    refused, place = "", int(rng.integers(len(line)))
    if fault == "drop":  # Alone, so that no other fault is named instead.
        line = [text for text in line if rng.random() < 0.6]
    elif fault == "value":
        name = line[place].split("=")[0].removeprefix("--")
        value = _bad_value(rng, name)
        line[place] = f"--{name}={value}"
        refused = f"--{name}" if "nan" in value and name in NUMBERS else ""
    elif fault == "repeat":
        name = line[place].split("=")[0]
        line.append(f"{name}=2")
        refused = name
    elif fault == "other":
        other = pick(rng, [text for text in OTHERS if mode not in OTHERS[text]])
        line.append(f"--{other}")
        refused = f"--{other.split('=')[0].removeprefix('no')}"
    elif fault == "misspelled":
        line[place] = line[place].replace("=", "x=", 1)
        refused = line[place].split("=")[0]
    else:
        line.append(pick(rng, ("good.fits", "--", "-", "--x", "predict", "--=1")))
    arguments = (f"--mode={mode}", *line)
    return Case(files={}, note=f"{fault}: {' '.join(arguments)}", arguments=arguments,
                refused=refused)  # fmt: skip


def _bad_value(rng: Rng, name: str) -> str:
    if name in NUMBERS:
        return pick(rng, BAD_NUMBERS)
    return pick(rng, BAD_COUNTS if name in COUNTS else BAD_TEXTS)
