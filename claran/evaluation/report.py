"""The report of an evaluation: tables and pictures in a single HTML file."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from claran.evaluation.bootstrap import Estimate
from claran.evaluation.results import Evaluation
from claran.figures.isolation import one_line
from claran.labels import display_name

__all__ = ["html_report", "png"]

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto;
       padding: 0 1rem; overflow-wrap: anywhere;
       -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #8886;
         white-space: nowrap; overflow-wrap: normal; }
th:first-child, td:first-child { text-align: left; }
tr.mean td { font-weight: 600; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; background: white;
      border-radius: 4px; }
.plots { display: grid; gap: 1rem;
         grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); }
.scroll { overflow-x: auto; } .note { opacity: .75; }
.scroll img { max-width: max(100%, 60rem); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr);
     gap: .2rem 1rem; }
dt { opacity: .75; } dd { margin: 0; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; }
  th, td { padding: .25rem .5rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; }
}
""".strip()

GALLERY_NOTE = (
    "<p class=note>Blue: labeled, dashed if ignored. Orange: detected, with class and "
    "score. White: the source or detection in question.</p>"
)


def html_report(
    evaluation: Evaluation,
    *,
    about: Mapping[str, str],
    plots: Mapping[str, bytes],
    galleries: Mapping[str, bytes],
) -> str:
    """Returns the HTML page, which contains all its pictures.

    Args:
        evaluation: The results.
        about: Facts about model and data by name, shown at the top.
        plots: PNG pictures by title.
        galleries: Wide PNG pictures by title.
    """
    facts = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in about.items()
    )
    parts = [
        f"<h1>Evaluation</h1><dl>{facts}</dl>",
        "<h2>Average precision</h2>", _class_table(evaluation),
        f"<p class=note>AP: area under the precision-recall curve at an IoU of 0.5 "
        f"(VOC). Intervals: central 95% of {evaluation.options['resample_count']:,} "
        "resamples of the fields with replacement. COCO AP: mean over IoU 0.5 to 0.95."
        "</p>",
        "<h2>Curves</h2>", f"<div class=plots>{_images(plots)}</div>",
        "<h2>Association of components</h2>", _association_table(evaluation),
        *_host_table(evaluation),
        "<h2>Subsets of the sources</h2>", _subset_table(evaluation),
        *(f"<h2>{_text(name)}</h2>{GALLERY_NOTE}"
          f"<div class=scroll>{_images({name: data})}</div>"
          for name, data in galleries.items()),
    ]  # fmt: skip
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation</title>\n<style>\n{STYLE}\n</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _class_table(evaluation: Evaluation) -> str:
    head = ["Class", "AP", "95% interval", "COCO AP", "AP75", "AR", "Sources"]
    rows = [
        [
            display_name(one.name), *_cells(one.ap), f"{one.ap_coco:.3f}",
            f"{one.ap75:.3f}", f"{one.ar:.3f}", f"{one.sources:,}",
        ]
        for one in evaluation.classes
    ]  # fmt: skip
    coco = evaluation.coco
    sources = sum(one.sources for one in evaluation.classes)
    numbers = [f"{coco[name].value:.3f}" for name in ("AP", "AP75", "AR")]
    least = evaluation.options["min_sources"]
    means = [
        ["mean", *_cells(evaluation.mean), *numbers, f"{sources:,}"],
        [f"mean of classes with {least} or more", *_cells(evaluation.mean_common)],
    ]
    return _table(head, rows, means)


def _association_table(evaluation: Evaluation) -> str:
    if evaluation.association is None:
        return "<p class=note>Unknown: the data are pictures without radio images.</p>"
    threshold = evaluation.options["score_threshold"]
    rows = [[name, *_cells(share)] for name, share in evaluation.associated.items()]
    return (
        _table(["Sources", "Right", "95% interval"], rows)
        + "<p class=note>Fraction of sources with a detection of a score above "
        f"{threshold:g} that contains exactly their own islands of emission.</p>"
    )


def _host_table(evaluation: Evaluation) -> list[str]:
    hosts = evaluation.hosts
    if hosts is None:
        return []
    head = ["Sources", "Right", "Place right", "Mean probability", "Number"]
    rows = [
        [
            name if name == "all" else display_name(name), f"{right:.3f}",
            f"{place:.3f}", f"{chance:.3f}", f"{count:,}",
        ]
        for name, count, place, right, chance in hosts.rows()
    ]  # fmt: skip
    return [
        "<h2>Hosts</h2>", _table(head, rows),
        "<p class=note>Fraction of the labeled hosts within 3 arcsec of the most "
        "probable one, and of the best place by the radio image alone. Calibration "
        f"error of the probability: {hosts.calibration_error:.3f}.</p>",
    ]  # fmt: skip


def _subset_table(evaluation: Evaluation) -> str:
    head = ["Sources", "mean AP", "95% interval", "Classes", "Number"]
    rows = [
        [one.name, *_cells(one.mean), f"{one.classes}", f"{one.sources:,}"]
        for one in evaluation.subsets
    ]
    return _table(head, rows)


def _cells(estimate: Estimate) -> list[str]:
    value, _, spread = str(estimate).partition("  ")
    return [value, spread]


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    means: Sequence[Sequence[str]] = (),
) -> str:
    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        filled = [*cells, *[""] * (len(head) - len(cells))]
        inside = "".join(f"<{tag}>{_text(cell)}</{tag}>" for cell in filled)
        return f"<tr{kind}>{inside}</tr>"

    lines = [line(head, "th"), *(line(row, "td") for row in rows)]
    lines += [line(row, "td", " class=mean") for row in means]
    return f"<div class=scroll><table>{''.join(lines)}</table></div>"


def _text(text: str) -> str:
    """Returns a text for HTML; names may have bytes that no encoding knows."""
    return html.escape(one_line(text))


def _images(pictures: Mapping[str, bytes]) -> str:
    return "".join(
        f'<figure><img alt="{_text(name)}" '
        f'src="data:image/png;base64,{base64.b64encode(data).decode()}"></figure>'
        for name, data in pictures.items()
    )
