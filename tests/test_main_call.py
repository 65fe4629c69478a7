"""The command's modes as a function, for notebooks."""

import grain  # noqa: F401 - it defines flags, which the flag saver must know.
import pytest
from absl import flags
from absl.testing import flagsaver

import claran.commands.making_data  # noqa: F401 - likewise.
from claran.commands.common import UsageError
from claran.main import call


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with flagsaver.flagsaver():
        yield tmp_path


def test_flags_are_arguments(folder, capsys):
    call("simulate", num=2, output=folder / "fields")
    assert "2 fields" in capsys.readouterr().out
    assert len(list(folder.glob("fields/*_radio.fits"))) == 2


def test_lists_and_truth_values(folder):
    call("simulate", num=2, output="fields")
    call(
        "preview", data="fields", split="all", pages=1, augment=False,
        class_names=["1_1", "3_3"],
    )  # fmt: skip
    assert flags.FLAGS.augment is False
    assert flags.FLAGS.class_names == ["1_1", "3_3"]
    assert (folder / "preview/batch_0000.png").is_file()


def test_what_a_call_before_set_is_forgotten(folder):
    call("simulate", num=2, output="first")
    call("simulate", num=1)
    assert len(list(folder.glob("fields/*_radio.fits"))) == 1


@pytest.mark.parametrize(
    "mode, values, message",
    [
        pytest.param("fly", {}, "`mode` must be one of demo, .*, got 'fly'", id="mode"),
        pytest.param("simulate", {"nmu": 1}, "Unknown .* flag 'nmu'", id="flag"),
        pytest.param("simulate", {"num": "x"}, "--num=x", id="value"),
        pytest.param(
            "preview", {"data": "nowhere"}, "no such file or folder", id="file"
        ),
    ],
)
def test_mistakes_raise_the_sentence_of_the_command_line(mode, values, message):
    with pytest.raises(UsageError, match=message):
        call(mode, **values)
