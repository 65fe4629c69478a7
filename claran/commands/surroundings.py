"""What the command finds around it: streams, warnings, folders."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from claran.commands.common import UsageError
from claran.io.paths import ESCAPED

__all__ = ["make_usable", "open_streams", "provide_home"]

# Where libraries keep settings and caches, if not in the home folder.
HOMES = ("KERAS_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


def open_streams() -> None:
    """Makes sure that text can be written to standard output and error.

    Streams that the caller closed lead nowhere, as otherwise the next file to be opened
    would take their place. What an encoding lacks is escaped.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nowhere, True)
    os.close(nowhere)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(number, "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        stream.reconfigure(errors=ESCAPED)


def make_usable() -> None:
    """Makes up for what libraries need of the environment.

    Raises:
        UsageError: The current folder was deleted.
    """
    try:
        os.getcwd()
    except OSError:
        raise UsageError("The current folder was deleted; cd to another one.") from None
    # OpenCV reports damaged pictures itself, beside claran's own line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    _ignore_strict_warnings()
    _leave_out_matplotlibrc()


def provide_home() -> None:
    """Gives libraries another folder for this run if there is no home to write to."""
    home = os.path.expanduser("~")
    try:
        tempfile.TemporaryFile(dir=home).close()
    except OSError:
        folder = tempfile.mkdtemp(prefix="claran-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name in HOMES:
            os.environ.setdefault(name, folder)


def _ignore_strict_warnings() -> None:
    """Undoes PYTHONWARNINGS=error: libraries warn when they are imported."""
    strict = [one for one in sys.warnoptions if one.startswith("error")]
    if strict:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    sys.warnoptions[:] = [one for one in sys.warnoptions if not one.startswith("error")]
    os.environ.pop("PYTHONWARNINGS", None)  # For worker processes.


def _leave_out_matplotlibrc() -> None:
    """Lets Matplotlib, and that of worker processes, read only its own settings.

    Figures have a style of their own. A backend that Matplotlib does not know, or a
    `matplotlibrc` in another encoding than UTF-8, would end its import.
    """
    os.environ["MPLBACKEND"] = "agg"
    matplotlib = importlib.util.find_spec("matplotlib")  # Without importing it.
    if matplotlib is not None and matplotlib.origin is not None:
        own = Path(matplotlib.origin).parent / "mpl-data" / "matplotlibrc"
        os.environ["MATPLOTLIBRC"] = str(own)
