"""What the documents say is so: names import, links lead to files, examples run."""

import contextlib
import doctest
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

import claran as package

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (".", "docs", "claran/weights", "claran/examples", "datasets/rgz")
DOCUMENTS = sorted(path for name in FOLDERS for path in (ROOT / name).glob("*.md"))
NOTEBOOK = ROOT / "notebooks/claran_colab.ipynb"

NAME = re.compile(r"\bclaran(?:_rgz)?(?:\.[A-Za-z_]\w*)+")
IMPORT = re.compile(r"from (claran[\w.]*) import ([\w, ]+)")
LINK = re.compile(r"(?:\]\(|src=\")([^)\"#]+)")
TOP = r"claran|datasets|docs|notebooks|scripts|tests"
FILE = re.compile(rf"`((?:{TOP})/[\w./-]+)`")
FENCE = re.compile(r"^```.*$", re.MULTILINE)
PUBLIC = sorted(set(package.__all__) - {"__version__"})

each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def blocks(path: Path, language: str) -> list[str]:
    """Returns the code blocks of a language."""
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, path.read_text(), re.MULTILINE | re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    """Returns the words of each command in the shell blocks, without comments."""
    text = "\n".join(blocks(path, "sh")).replace("\\\n", " ")
    split = (shlex.split(line, comments=True) for line in text.splitlines())
    return [words for words in split if words]


def resolves(name: str) -> bool:
    """Returns whether a dotted name imports: a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def unresolved(text: str) -> list[str]:
    names = set(NAME.findall(text))
    for module, imported in IMPORT.findall(text):
        names |= {f"{module}.{name}" for name in re.findall(r"\w+", imported)}
    return [name for name in sorted(names) if not resolves(name)]


@each_document
def test_names_import(path):
    assert unresolved(path.read_text()) == []


def test_names_in_the_notebook_import():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert unresolved("\n".join("".join(cell["source"]) for cell in cells)) == []


def test_a_name_that_is_gone_is_found():
    text = "`claran.read_field`, `claran.fields.field.Field.noise`, `claran.gone`"
    assert unresolved(f"{text}\nfrom claran.fields.field import Field, Gone\n") == [
        "claran.fields.field.Gone",
        "claran.gone",
    ]


@each_document
def test_links_lead_to_files(path):
    links = [one for one in LINK.findall(path.read_text()) if "://" not in one]
    assert [link for link in links if not (path.parent / link).exists()] == []


@each_document
def test_files_are_there(path):
    named = [name for name in FILE.findall(path.read_text()) if "NAME" not in name]
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_document
def test_flags_are_known(path, capsys):
    # The flag saver takes away flags that came later, such as those of grain's import.
    import grain  # noqa: F401, PLC0415

    from claran import main  # noqa: PLC0415 - after the hook in conftest.py

    for module in set(main.MODES.values()):
        importlib.import_module(f"claran.commands.{module}")
    for words in commands(path):
        if words[1:3] != ["-m", "claran.main"]:
            continue
        with flagsaver.flagsaver(), contextlib.suppress(SystemExit):
            flags.FLAGS.unparse_flags()
            assert main.parse_flags(["claran", *words[3:]]) == ["claran"]
        assert capsys.readouterr().err == "", shlex.join(words)


@each_document
def test_scripts_and_targets_are_there(path):
    makefile = (ROOT / "Makefile").read_text()
    for words in commands(path):
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert all(re.search(rf"^{t}\b.*:", makefile, re.M) for t in targets), words
        for script in [word for word in words if word.startswith("scripts/")]:
            source = (ROOT / script).read_text()
            given = [word[2:].split("=")[0] for word in words if word[:2] == "--"]
            if script.endswith(".py"):
                assert [name for name in given if f'"{name}"' not in source] == []


def test_examples_of_the_conventions():
    path = ROOT / "docs/conventions.md"
    examples = doctest.DocTestParser().get_doctest(
        FENCE.sub("", path.read_text()), {}, path.name, str(path), 0
    )
    assert len(examples.examples) > 50
    doctest.DebugRunner().run(examples)  # Raises at the first that differs.


def test_public_names_are_on_the_page():
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/api.md").read_text(), re.M)
    assert sorted(headings) == PUBLIC
    assert [name for name in PUBLIC if name not in dir(package)] == []


def test_each_public_name_has_an_example():
    code = "\n".join(blocks(ROOT / "docs/api.md", "python"))
    # What `detect`, `read_field`, the evaluations and `run_survey` return.
    returned = {"Detections", "Evaluation", "Field", "SurveyCatalog"}
    missing = [name for name in PUBLIC if f"claran.{name}" not in code]
    assert sorted(missing) == sorted(returned)


@pytest.mark.slow
def test_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    import grain  # noqa: F401, PLC0415 - see `test_flags_are_known`

    monkeypatch.chdir(tmp_path)
    with flagsaver.flagsaver():
        namespace = {}
        for block in blocks(ROOT / "docs/api.md", "python"):
            exec(compile(block, "docs/api.md", "exec"), namespace)
    for name in "field.png", "catalog.ecsv", "report/report.html", "tuned/best.keras":
        assert (tmp_path / name).is_file(), name
    assert "mean AP at IoU 0.5 of" in capsys.readouterr().out


def test_every_room_is_on_the_plan():
    plan = (ROOT / "docs/architecture.md").read_text()
    data_only = {"examples", "weights"}
    rooms = {file.parent.name for file in (ROOT / "claran").glob("*/__init__.py")}
    missing = [room for room in rooms - data_only if f"| `claran/{room}` |" not in plan]
    assert missing == []
