"""Where candidates for hosts come from, by the flags."""

import importlib.util
import os
from pathlib import Path

from absl import flags

from claran.commands.common import UsageError
from claran.hosts.host_search import HostSearch

__all__ = ["host_search"]

FLAGS = flags.FLAGS


def host_search(*, infrared: bool) -> HostSearch | None:
    """Returns where candidates come from; None if hosts are not asked for.

    Args:
        infrared: Whether there are infrared images.

    Raises:
        UsageError: A library is missing that is needed after the search for sources.
    """
    if not (FLAGS.hosts or FLAGS.ir_catalog or FLAGS.fetch):
        return None
    if FLAGS.ir_catalog and not Path(FLAGS.ir_catalog).is_file():
        raise UsageError(f"--ir_catalog={FLAGS.ir_catalog}: there is no such file.")
    images = FLAGS.hosts and infrared
    if images and importlib.util.find_spec("sep") is None:
        raise UsageError(
            "--hosts measures infrared images with SEP; pip install 'claran[hosts]'."
        )
    if FLAGS.fetch and importlib.util.find_spec("pyvo") is None and not FLAGS.offline:
        raise UsageError("--fetch needs pyvo; pip install 'claran[vo]'.")
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return HostSearch(
        catalog=Path(FLAGS.ir_catalog) if FLAGS.ir_catalog else None,
        fetch=FLAGS.fetch or "", offline=FLAGS.offline, images=images,
        cache=Path(FLAGS.fetch_cache or Path(root, "claran", "catalogs")),
    )  # fmt: skip
