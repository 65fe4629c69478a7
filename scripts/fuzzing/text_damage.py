"""Damage to the structure of JSON, XML and tables of text."""

import copy
import json
from typing import Any
from xml.etree import ElementTree

from fuzzing.damage import Rng, pick

DEEP, LONG = "@deep@", "@long@"  # Stand for what the writers cannot write.
NODES: tuple[Any, ...] = (
    None, [], {}, "", "text", "../../x", -1, 0, 1, 7, 2.5, 1e300, -1e300, 2**31, 10**40,
    True, False, float("nan"), float("inf"), [[1]], {"a": 1}, "\x00", "é\ud7ff",
    "x" * 5000, "1", "NaN", "$x_1$", "=1+1", ["a", None, 3], DEEP, LONG,
)  # fmt: skip
CELLS = (
    "", "nan", "inf", "-inf", "-1", "0", "1", "1e300", "-1e300", "2147483648",
    "9" * 400, "text", "../../x", "http://127.0.0.1:9/x", "=1+1", "\x00", "é", "\"",
    "\"\"", "1;2",
    "1;;nan", "1_1", "9_9", "-0", "0x10", "1,5", "True", "x" * 5000, "{}", "$x_1$",
    "test", "train", "360.5", "91", "\n", "\ufeff",
)  # fmt: skip
XML_TEXTS = (*CELLS, "0.0", "1e-300", "Unspecified", "Yes", "N/A", "../../x.png")
ENTITIES = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">'
    '<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">]>'
)


def damage_json(rng: Rng, text: str) -> tuple[bytes, str]:
    """Returns JSON with one to three nodes replaced, dropped or repeated."""
    value = json.loads(text)
    notes = []
    for _ in range(pick(rng, (1, 1, 2, 3))):
        root = [value]
        places = _places(root)
        holder, key = pick(rng, places)
        fault = pick(rng, ("replace", "replace", "replace", "drop", "repeat", "rename"))
        if fault == "drop" and holder is not root:
            del holder[key]
        elif fault == "repeat" and isinstance(holder, list) and holder is not root:
            holder.append(copy.deepcopy(holder[key]))
        elif fault == "rename" and isinstance(holder, dict):
            holder[pick(rng, ("", "x", "id", "name"))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(pick(rng, NODES))
            fault = f"{str(holder[key])[:20]!r} as"
        value = root[0]
        notes.append(f"{fault} {key!r}")
    out = json.dumps(value)
    out = out.replace(f'"{DEEP}"', "[" * 20000 + "]" * 20000)
    return out.replace(f'"{LONG}"', "9" * 5000).encode(), ", ".join(notes)


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Returns every container in a value with each key or number in it."""
    found, waiting = [], [root]
    while waiting:
        holder = waiting.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return found


def damage_xml(rng: Rng, text: str) -> tuple[bytes, str]:
    """Returns XML with one to three elements changed, dropped, repeated or nested."""
    root = ElementTree.fromstring(text)
    notes = []
    for _ in range(pick(rng, (1, 1, 2, 3))):
        nodes = list(root.iter())
        node = pick(rng, nodes)
        fault = pick(rng, ("text", "text", "text", "drop", "repeat", "rename", "nest",
                           "attribute"))  # fmt: skip
        parent = next((one for one in nodes if node in list(one)), None)
        tag = node.tag.rpartition("}")[2]
        if fault == "drop" and parent is not None:
            parent.remove(node)
        elif fault == "repeat" and parent is not None:
            parent.append(copy.deepcopy(node))
        elif fault == "rename":
            node.tag = pick(rng, ("x", "object", "annotation", "name", "STREAM"))
        elif fault == "nest":
            node.append(copy.deepcopy(node))
        elif fault == "attribute":
            name = pick(rng, sorted(node.attrib) or ["href"])
            node.set(name, pick(rng, XML_TEXTS).replace("\x00", ""))
        else:
            node.text = DEEP if rng.random() < 0.05 else pick(rng, XML_TEXTS)
            node.text = node.text.replace("\x00", "")
            fault = f"{node.text[:20]!r} as"
        notes.append(f"{fault} <{tag}>")
    out = ElementTree.tostring(root, "unicode")
    out = out.replace(DEEP, "<a>" * 20000 + "</a>" * 20000)
    if rng.random() < 0.05:
        out, notes = ENTITIES + out.replace("</", "&e;</", 1), [*notes, "entities"]
    return out.encode(pick(rng, ("utf-8",) * 8 + ("utf-16", "latin-1")), "replace"), (
        ", ".join(notes)
    )


def damage_rows(rng: Rng, text: str, separator: str) -> tuple[bytes, str]:
    """Returns a table of text with cells or lines changed.

    Args:
        rng: The generator.
        text: The table.
        separator: Between cells.
    """
    lines = text.splitlines()
    notes = []
    for _ in range(pick(rng, (1, 1, 2, 4))):
        row = int(rng.integers(len(lines)))
        cells = lines[row].split(separator)
        column = int(rng.integers(len(cells)))
        fault = pick(rng, ("cell", "cell", "cell", "cell", "drop", "repeat", "insert",
                           "short", "swap"))  # fmt: skip
        if fault == "drop" and len(lines) > 1:
            del lines[row]
        elif fault == "repeat":
            lines.insert(row, lines[row])
        elif fault == "swap":
            other = int(rng.integers(len(lines)))
            lines[row], lines[other] = lines[other], lines[row]
        else:
            value = pick(rng, CELLS)
            if fault == "insert":
                cells.insert(column, value)
            elif fault == "short":
                cells = cells[:column]
            else:
                cells[column] = value
            lines[row] = separator.join(cells)
            fault = f"{fault} {value[:20]!r}"
        notes.append(f"{fault} in line {row + 1}")
    end = pick(rng, ("\n",) * 6 + ("\r\n", "\r"))
    code = pick(rng, ("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1"))
    return (end.join(lines) + end).encode(code, "replace"), ", ".join(notes)
