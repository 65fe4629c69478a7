"""Flags that make no sense are refused in one line, before anything is read."""

import subprocess
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

from claran import main as claran_main
from claran.commands.common import UsageError
from claran.commands.flag_table import MEANINGS, flags_of
from claran.commands.modes import ABOUT, MODES
from claran.commands.refusals import SIMULATED

DATA = "--data=fields"
NEEDED = {
    "demo": [],
    "predict": ["--radio=a.fits"],
    "survey": ["--radio=mosaic.fits"],
    "convert": ["--old_model=a.keras"],
    "simulate": [],
    "prepare": ["--data=rgz/simulated_small"],
    "preview": [DATA],
    "eval": [DATA],
    "train": [DATA, "--output=run"],
}
"""Flags without which a mode does nothing."""

VALUES = {
    "accelerator": "cpu", "class_names": "a,b", "data": "fields", "fetch": "allwise",
    "fusion": "D3", "image_size": 99, "inputs": "D1", "mode": "demo",
    "population": "balanced", "precision": "bfloat16", "start": "random",
    "tile_size": 512,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _restored():
    with flagsaver.flagsaver():
        yield


@pytest.fixture
def parse(capsys):
    """Returns what the command says of flags that it refuses; None if it takes them."""

    def run(*arguments):
        flags.FLAGS.unparse_flags()
        status = 0
        try:
            claran_main.parse_flags(["claran", *arguments])
        except SystemExit as end:
            status = end.code
        line = capsys.readouterr().err
        if status == 0:
            return None
        assert status == 1 and line.startswith("claran: ") and line.count("\n") == 1
        return line.removeprefix("claran: ").rstrip()

    return run


@pytest.mark.parametrize("mode", MODES)
def test_what_a_mode_needs_is_taken(parse, mode):
    assert parse(f"--mode={mode}", *NEEDED[mode]) is None


@pytest.mark.parametrize("mode", MODES)
def test_a_flag_of_another_mode_names_its_modes(parse, mode):
    others = [name for name in MEANINGS if name not in flags_of(mode)]
    assert len(others) > 15
    for name in others:
        flag = f"--{name}"
        if not flags.FLAGS[name].boolean:
            flag += f"={VALUES.get(name, 1)}"
        line = parse(f"--mode={mode}", *NEEDED[mode], flag)
        assert line.startswith(f"--{name} is a flag of --mode=")
        assert line.endswith(f"; leave it out of --mode={mode}.")
        assert all(one in line for one in MEANINGS[name])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--radio=a.fits", "--radio=b.fits"], "--radio is given twice, as a.fits and"),
        (["--radio=a.fits", "--radio=b.fits"], "a comma between its values or a patt"),
        (["--radio=a.fits", "--beam=3", "--beam=4"], "--beam is given twice, as 3.0"),
        (["--mode=demo", "--radio=a.fits"], "--mode is given twice, as predict and as"),
        (["--radio=a.fits", "--debug", "--nodebug"], "--debug is given twice"),
        (["--radio=a.fits", "--model=a.keras", "--model=b.keras"], "--model is given"),
        (["--radio=a", "--accelerator=cpu", "--accelerator=gpu"], "--accelerator is"),
        (["--radio=a", "--beam=3", "--beam=3"], "--beam is given twice, as 3.0 and"),
    ],
)
def test_a_flag_is_given_once(parse, arguments, message):
    assert message in parse("--mode=predict", *arguments)


NUMBERS = [
    ("predict", "beam"), ("predict", "score_threshold"), ("predict", "nms_threshold"),
    ("predict", "rpn_nms_threshold"), ("train", "learning_rate"), ("eval", "beam"),
    ("survey", "component_snr"),
]  # fmt: skip


@pytest.mark.parametrize("value", ["nan", "NaN", "-nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("mode, name", NUMBERS)
def test_numbers_are_finite(parse, mode, name, value):
    line = parse(f"--mode={mode}", *NEEDED[mode], f"--{name}={value}")
    assert line.startswith(f"--{name}={value}: {value} is not a") and "finite" in line


def test_every_number_is_tested():
    parsers = {name: flags.FLAGS[name].parser for name in MEANINGS}
    numbers = {n for n, p in parsers.items() if isinstance(p, flags.FloatParser)}
    assert numbers == {name for _, name in NUMBERS}


@pytest.mark.parametrize(
    "mode, arguments, message",
    [
        ("predict", ["--score_threshold=1.5"], "--score_threshold=1.5: 1.5 is not a"),
        ("demo", ["--score_threshold=-0.1"], "--score_threshold=-0.1: -0.1 is not"),
        ("demo", ["--nms_threshold=2"], "--nms_threshold=2: 2.0 is not a number in"),
        ("demo", ["--beam=0"], "--beam=0: 0.0 is not a number above 0"),
        ("demo", ["--beam=-5"], "--beam=-5: -5.0 is not a number above 0"),
        ("train", ["--learning_rate=0"], "--learning_rate=0: 0.0 is not a number abo"),
        ("train", ["--learning_rate=-1"], "--learning_rate=-1: -1.0 is not a number"),
        ("simulate", ["--num=0"], "--num=0: 0 is not an integer in the range [1,"),
        ("demo", ["--batch_size=0"], "--batch_size=0: 0 is not a positive integer"),
        ("simulate", ["--num=10000001"], "is not an integer in the range [1, 10000000"),
        ("simulate", ["--num=2.5"], "--num=2.5: 2.5 is not an integer in the range"),
        ("demo", ["--batch_size=two"], "--batch_size=two: two is not a positive in"),
        ("demo", ["--beam=5arcsec"], "--beam=5arcsec: 5arcsec is not a number above"),
        ("demo", ["--debug=yes"], "--debug=yes: yes is neither true nor false"),
        ("preview", ["--class_names=a,b,a"], "--class_names=a,b,a: a is there twice;"),
        ("preview", ["--class_names=a,"], "--class_names=a,: is empty; give a value"),
        ("convert", ["--anchor_scales="], "--anchor_scales=: is empty; give a value"),
        ("convert", ["--anchor_scales=1,b"], "--anchor_scales=1,b: b is not a number"),
        ("convert", ["--anchor_ratios=0"], "--anchor_ratios=0: 0.0 is not a number ab"),
        ("convert", ["--anchor_ratios=1:2"], "1:2 is not a number above 0 and finite"),
        ("convert", ["--anchor_ratios=1,inf"], "inf is not a number above 0 and finit"),
        ("simulate", ["--seed=4294967296"], "--seed=4294967296: 4294967296 is not an"),
        ("eval", ["--workers=-1"], "--workers=-1: -1 is not an integer in the range"),
        ("demo", ["--device_index=-1"], "--device_index=-1: -1 is not a non-negative"),
        ("simulate", ["--population=catalog"], "did you mean catalogue?"),
        ("demo", ["--output="], "--output=: is empty; give a value, or leave the flag"),
        ("demo", ["--model= "], "--model= : is empty; give a value"),
        ("predict", ["--ir=a.png,,b.png"], "--ir=a.png,,b.png: is empty"),
        (
            "demo",
            ["--output=~nosuchuser/x"],
            "~nosuchuser/x: no such home folder; write ./~nosuch",
        ),
    ],
)
def test_values_out_of_range(parse, mode, arguments, message):
    assert message in parse(f"--mode={mode}", *NEEDED[mode], *arguments)


IDLE = [
    ("demo", ["--image=a.png", "--beam=5"], "--beam: --image is shown to the network"),
    ("predict", ["--image=a.png", "--survey=first"], "--survey: --image is shown to"),
    ("demo", ["--image=a.png", "--hosts"], "--hosts: hosts are looked for on the sky"),
    ("predict", ["--all_hypotheses", "--fetch=unwise"], "--fetch: hosts are those of"),
    ("predict", ["--offline"], "--offline: is for --fetch; leave it out."),
    ("demo", ["--hosts", "--ir_catalog=x"], "--hosts: --ir_catalog has the candidates"),
    ("train", ["--hosts"], "--hosts is a flag of --mode=demo, predict, survey or eval"),
    ("eval", ["--predictions=x", "--hosts"], "--hosts: --predictions are evaluated wi"),
    ("eval", ["--model=classical", "--fetch=unwise"], "--fetch: --model=classical has"),
    ("eval", ["--data=simulated/first", "--hosts"], "--hosts: simulated fields are no"),
    ("survey", [], "Give --radio, the mosaics, such as"),
    ("predict", [], "Give either --radio (and --ir) or --image."),
    ("predict", ["--image=a.png", "--ir=b.png"], "Give either --radio (and --ir) or"),
    ("demo", ["--image=a.png", "--radio=b.fits"], "Give either --radio (and --ir) or"),
    ("demo", ["--ir=a.png"], "--ir needs --radio, the radio image of the same field"),
    ("demo", ["--model=classical"], "--model=classical is for --mode=eval; give a ne"),
    ("train", ["--model=classical"], "--model=classical is for --mode=eval; give a n"),
    ("train", ["--validation_fields=0", "--validate_every=2"], "--validate_every: --"),
    ("train", ["--data=rgz/d4", "--output=run", "--overwrite"], "--overwrite is a fla"),
    ("eval", ["--predictions=a.csv", "--model=b.keras"], "--model: --predictions are"),
    ("eval", ["--predictions=a.csv", "--batch_size=2"], "--batch_size: --predictions"),
    ("eval", ["--predictions=a.csv", "--nms_threshold=0.4"], "--nms_threshold: --pre"),
    ("eval", ["--model=classical", "--nms_threshold=0.4"], "--model=classical has no"),
    ("eval", ["--model=classical", "--rpn_nms_threshold=1"], "--model=classical has"),
    ("eval", ["--predictions=a.csv", "--average"], "--average: --predictions are eva"),
    ("eval", ["--model=classical", "--average"], "--model=classical has no netw"),
    ("train", ["--average"], "--average is a flag of --mode=demo, predict, survey or"),
    ("eval", ["--model=classical", "--batch_size=2"], "--model=classical has no netw"),
    ("eval", ["--class_names=a"], "--class_names: a network has its own classes; lea"),
    ("eval", ["--data_dir=sets"], "--data_dir: is for a data set such as --data=rgz/"),
    ("preview", ["--manual_dir=x"], "--manual_dir: is for a data set such as --data="),
    ("prepare", ["--manual_dir=x"], "--manual_dir: simulated fields need no files; l"),
    ("prepare", ["--data=rgz/d4", "--beam_options=--x"], "--beam_options: Apache Beam"),
    ("eval", ["--data=simulated", "--beam=5"], "--beam: simulated fields have their"),
    ("train", ["--data=simulated/first", "--survey=emu"], "--survey: simulated field"),
    ("train", ["--data=simulated", "--class_names=a"], "--class_names: simulated fie"),
    ("convert", ["--image_size=500"], "--image_size: an old model knows it itself; l"),
    ("convert", ["--class_names=a"], "--class_names: an old model knows it itself; l"),
    ("convert", ["--anchor_scales=2"], "--anchor_scales: an old model knows it"),
    ("convert", ["--tf_checkpoint=x"], "Give either --tf_checkpoint, the path without"),
    ("preview", ["--data=simulated"], "--data=simulated is for --mode=eval or train;"),
    ("eval", [], "Give --data, such as rgz/pairs or rgz/simulated_12k."),
    ("train", [DATA], "Give --output, the folder for the model and its logs."),
]  # fmt: skip


@pytest.mark.parametrize("mode, arguments, message", IDLE)
def test_flags_that_contradict_or_change_nothing(parse, mode, arguments, message):
    named = {one.partition("=")[0] for one in arguments}
    missing = message.startswith("Give ") and not named & {"--image", "--tf_checkpoint"}
    needed = [] if missing or "--image" in named else NEEDED[mode]
    needed = [one for one in needed if one.partition("=")[0] not in named]
    assert message in parse(f"--mode={mode}", *needed, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mode=eval", DATA, "--predictions=a.csv", "--class_names=a"],
        ["--mode=eval", DATA, "--model=classical", "--class_names=a", "--workers=2"],
        ["--mode=eval", "--data=rgz/d4", "--data_dir=x", "--batch_size=4"],
        ["--mode=train", DATA, "--output=x", "--class_names=a", "--beam=5"],
        ["--mode=train", "--data=rgz/pairs", "--manual_dir=f", "--output=x"],
        ["--mode=convert", "--tf_checkpoint=x", "--class_names=a", "--image_size=500"],
        ["--mode=predict", "--radio=a.fits", "--ir=a.png", "--beam=5"],
        ["--mode", "predict", "--radio", "-a.fits"],
    ],
)
def test_flags_that_belong_together(parse, arguments):
    assert parse(*arguments) is None


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--mode=train", "--stpes=2"], "flag 'stpes'; did you mean --steps?"),
        (["--mode=predict", "--stpes=2"], "did you mean --steps of --mode=train?"),
        (["--mode=predict", "--radoi=a"], "'radoi'; did you mean --radio?"),
        (["--mode=predict", "--RADIO=a"], "'RADIO'; did you mean --radio?"),
        (["--mode=demo", "--hlep"], "'hlep'; did you mean --help?"),
        (["--mode=demo", "--vresion"], "'vresion'; did you mean --version?"),
        (["--mode=demo", "--qqqq=1"], "'qqqq'; see --mode=demo --help."),
        (["--qqqq=1"], "'qqqq'; see --help."),
        (["--mode=predcit"], "did you mean predict?"),
        (["--mode=Train"], "did you mean train?"),
        (["--mode=fly"], "--mode=fly: value should be one of demo, predict, survey,"),
    ],
)
def test_the_nearest_is_suggested(parse, arguments, message):
    assert message in parse(*arguments)


@pytest.mark.parametrize(
    "mode, values, message",
    [
        ("simulate", {"num": float("nan")}, "--num=nan: "),
        ("demo", {"beam": float("inf")}, "--beam=inf: inf is not a number above 0 and"),
        ("demo", {"steps": 2}, "--steps is a flag of --mode=train"),
        ("eval", {"data": "x", "predictions": "a", "batch_size": 1}, "--batch_size: "),
    ],
)
def test_the_same_in_python(mode, values, message):
    with pytest.raises(UsageError) as caught:
        claran_main.call(mode, **values)
    assert message in str(caught.value)


def test_none_is_a_flag_that_is_not_given():
    with pytest.raises(UsageError, match=r"^Give --data"):
        claran_main.call("train", data=None, output="x", steps=None)


@pytest.mark.parametrize("mode", MODES)
def test_help_of_a_mode_has_its_flags_and_an_example(capsys, mode):
    with pytest.raises(SystemExit) as end:
        claran_main.parse_flags(["claran", f"--mode={mode}", "--help"])
    page = capsys.readouterr().out
    assert end.value.code == 0 and ABOUT[mode] in page
    assert f"python -m claran.main --mode={mode} " in page or mode == "demo"
    shown = [line.strip(" -:").removeprefix("[no]") for line in page.splitlines()
             if line.startswith("  --") and line.endswith(":")]  # fmt: skip
    assert shown == flags_of(mode)
    assert max(map(len, page.splitlines())) <= 88


@pytest.mark.parametrize("mode", MODES)
def test_examples_of_the_help_are_taken(parse, mode):
    text = ABOUT[mode].replace("\\\n", " ")
    commands = [line.split() for line in text.splitlines() if "claran.main" in line]
    assert commands
    for words in commands:
        assert parse(*(word.replace("'", "") for word in words[3:])) is None


def test_every_flag_is_in_the_table():
    """A flag that is defined elsewhere would be taken in every mode."""
    modules = flags.FLAGS.flags_by_module_dict()
    ours = {flag.name for name, found in modules.items() for flag in found
            if name.startswith("claran")}  # fmt: skip
    assert ours == set(MEANINGS)


def test_simulated_fields_are_those_of_the_simulation():
    from claran.simulation import endless  # noqa: PLC0415 - it takes a second

    assert set(SIMULATED) == set(endless.SIMULATED)


@pytest.mark.parametrize(
    "arguments, status, answer",
    [
        (["--version"], 0, "claran 0.1.0"),
        (["--help"], 0, "train: Trains a network"),
        (["--mode=predict", "--help"], 0, "--radio:"),
        (["--mode=predcit"], 1, "did you mean predict?"),
        (["--mode=predict", "--steps=3"], 1, "--steps is a flag of --mode=train"),
    ],
)
def test_answers_load_neither_jax_nor_keras(arguments, status, answer):
    code = (
        "import sys\nfrom claran import main\ntry:\n    main.run()\nfinally:\n"
        "    assert not {'jax', 'keras', 'numpy', 'astropy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status and answer in done.stdout + done.stderr
