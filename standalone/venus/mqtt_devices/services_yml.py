"""An owner's ``services.yml`` of the reference driver becomes a types file (spec G.1).

Reads the part of YAML that such files use: two levels of indentation, scalars, lists on one
line, and blocks of text. What it reads it reads as the reference's parser does (YAML 1.1); what
it does not know is an error, never another value.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, Sequence

from .rows import Row
from .tables import load

Types = Dict[str, Dict[str, Dict[str, Any]]]


class BadYaml(ValueError):
    """A line can't be read; the text has its number."""


_INT = re.compile(r"[+-]?(?:0|[1-9][0-9_]*)")
_OCTAL = re.compile(r"([+-]?)0([0-7_]+)")
_BINARY = re.compile(r"([+-]?)0b([01_]+)")
_HEX = re.compile(r"([+-]?)0x([0-9a-fA-F_]+)")
_FLOAT = re.compile(r"(?:[+-]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-][0-9]+)?")
_NO_NUMBER = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DOUBLE = r'"(?:[^"\\]|\\.)*"'
_SINGLE = r"'(?:[^']|'')*'"
_QUOTED = re.compile(_DOUBLE + "|" + _SINGLE)
_MEMBER = re.compile(r"\s*(" + _DOUBLE + "|" + _SINGLE + r"|[^,\[\]{}\"'\s][^,\[\]{}]*)\s*([,\]])")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)")
_ESCAPES = dict(zip("0abtnvfre_NLP", "\0\a\b\t\n\v\f\r\x1b\xa0\x85\u2028\u2029"))
_ESCAPES.update((sign, sign) for sign in ' "/\\')
_OF_SIXTIES = r"[+-]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|\s+)[0-9]{1,2}:.*"
_UNKNOWN = re.compile(rf"{_OF_SIXTIES}|{_DATE}|[+-]?0[bx]_+|[-?=]|<<")
"""What is no text for YAML, or nothing at all."""
_KEY = re.compile(r":(?:\s|\Z)")
_COMMENT = re.compile(r"(?:\A|\s)#")
_BLOCK = re.compile(r"[>|][+-]?(?:\s+#.*)?")
_TRUE, _FALSE, _NULL = ("yes", "true", "on"), ("no", "false", "off"), ("null",)
_SIGNS = (*"{}]&*!|>%@`,", "- ", "? ")  # what YAML gives a meaning where a value begins
_RELEASED = {"/TemperatureType": (0, 2)}  # limits that the reference has and we have widened
_WORDS = {
    form: value
    for words, value in ((_TRUE, True), (_FALSE, False), (_NULL, None))
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
_WORDS.update({"~": None, "": None})


def read(text: str) -> Types:
    """Return type -> path -> attribute -> value; raises BadYaml."""
    types: Types = {}
    path: dict[str, dict[str, Any]] = {}
    attributes: dict[str, Any] | None = None
    indents: list[int] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        bare = line.strip()
        if not bare or bare.startswith("#") or bare in ("---", "..."):
            continue
        if "\t" in line[: len(line) - len(line.lstrip())]:
            raise BadYaml(f"line {number}: a tab")
        key, value = _key_value(bare, number)
        level = _level(indents, len(line) - len(line.lstrip()), number)
        if key == "<<" or (level < 2 and _plain(_bare(value)) is not None):
            raise BadYaml(f"line {number}: more than this reader knows")
        if level == 0:
            path = types[key] = {}
            attributes = None
        elif level == 1:
            attributes = path[key] = {}
        elif attributes is None:
            raise BadYaml(f"line {number}: an attribute without a path")
        elif _BLOCK.fullmatch(value):
            attributes[key], number = _block(lines, number, indents[-1], value[0])
        else:
            attributes[key] = _scalar(value, number)
    return types


def _key_value(bare: str, number: int) -> tuple[str, str]:
    key, colon, value = bare.partition(":")
    if not colon or (value and not value.startswith((" ", "\t"))):
        raise BadYaml(f"line {number}: no 'key: value'")
    return key.strip().strip("\"'"), value.strip()


def _level(indents: list[int], indent: int, number: int) -> int:
    while indents and indent < indents[-1]:
        indents.pop()
    if not indents or indent > indents[-1]:
        indents.append(indent)
    if indent != indents[-1] or len(indents) > 3:
        raise BadYaml(f"line {number}: indented unlike the others")
    return len(indents) - 1


def _block(lines: list[str], number: int, indent: int, style: str) -> tuple[str, int]:
    taken = []
    while number < len(lines):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        taken.append(line.strip())
        number += 1
    return ("\n" if style == "|" else " ").join(taken).strip(), number


def _scalar(text: str, number: int) -> Any:
    if text[:1] in ("'", '"'):
        found = _QUOTED.match(text)
        if found is None:
            raise BadYaml(f"line {number}: no closing quote")
        if _bare(text[found.end() :]):
            raise BadYaml(f"line {number}: something after the closing quote")
        return _unquoted(found[0], number)
    if text.startswith("["):
        return _list(text, number)
    text = _bare(text)
    if text.startswith(_SIGNS) or _KEY.search(text) or _UNKNOWN.fullmatch(text):
        raise BadYaml(f"line {number}: more than this reader knows")
    if _NO_NUMBER.fullmatch(text):
        raise BadYaml(f"line {number}: {text} is no number")
    return _plain(text)


def _bare(text: str) -> str:
    """Return a text without the comment behind it."""
    return _COMMENT.split(text, 1)[0].strip()


def _list(text: str, number: int) -> list[Any]:
    """Return a list on one line."""
    members: list[Any] = []
    at = 1
    if re.match(r"\s*\]", text[at:]):
        at = text.index("]") + 1
    else:
        end = ","
        while end == ",":
            found = _MEMBER.match(text, at)
            if found is None:
                raise BadYaml(f"line {number}: no list that ends in this line")
            member = found[1].strip()
            if member.startswith(":") or (member[0] not in "'\"" and _bare(member) != member):
                raise BadYaml(f"line {number}: more than this reader knows")
            members.append(_scalar(member, number))
            at, end = found.end(), found[2]
    if _bare(text[at:]):
        raise BadYaml(f"line {number}: something after the closing bracket")
    return members


def _unquoted(text: str, number: int) -> str:
    """Return what stands between quotes."""
    inner = text[1:-1]
    if text[0] == "'":
        return inner.replace("''", "'")
    try:
        return _ESCAPE.sub(_escaped, inner)
    except (KeyError, ValueError):
        raise BadYaml(f"line {number}: an escape that there is not") from None


def _escaped(found: re.Match[str]) -> str:
    sign = found[1]
    return _ESCAPES[sign] if len(sign) == 1 else chr(int(sign[1:], 16))


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for form, base in ((_OCTAL, 8), (_BINARY, 2), (_HEX, 16)):
        found = form.fullmatch(text)
        if found is not None and found[2].strip("_"):
            return int(found[1] + found[2].replace("_", ""), base)
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def _row(path: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return one entry of a types file."""
    default = attributes.get("default")
    stored = bool(attributes.get("persist") or attributes.get("setting"))
    if isinstance(default, bool):
        default = int(default)
    if stored and default is None:
        default = 0
    kind = "number"
    if isinstance(default, str):
        kind = "text"
    elif isinstance(default, list):
        kind = "list"
    elif path == "ProductId":
        kind = "integer"
    return {
        "path": "/" + path.strip("/"),
        "kind": kind,
        "default": default,
        "text_format": attributes.get("format"),
        "stored": stored,
        "min": attributes.get("min"),
        "max": attributes.get("max"),
        "meaning": str(attributes.get("description") or ""),
    }


def added_types(types: Types, with_changes: bool = True) -> dict[str, Any]:
    """Return the ``types`` of a types file: what the owner added, and changed defaults.

    A type that we know keeps our rows, with the owner's beside them or in their place.
    ``with_changes`` is False for files of versions whose released defaults were others.
    """
    known = load().types
    found: dict[str, Any] = {}
    for name, paths in types.items():
        rows = [_row(path, attributes) for path, attributes in paths.items()]
        if name not in known:
            have = {row["path"] for row in rows}
            for path, kind, default in (
                ("/ProductId", "integer", 65535),
                ("/CustomName", "text", f"My {name}"),
            ):
                if path not in have:
                    stored = path == "/CustomName"
                    rows.insert(0, dict(_row(path, {}), kind=kind, default=default, stored=stored))
            found[name] = {"paths": rows}
            continue
        ours = {row.path: row for row in known[name].rows}
        news = [row for row in rows if _is_news(row, ours.get(row["path"]), with_changes)]
        if news:
            places = {row["path"]: row for row in map(_entry, ours.values())}
            places.update((row["path"], row) for row in news)
            found[name] = {
                "paths": list(places.values()),
                "default_outputs": known[name].default_outputs,
            }
    return found


def _is_news(row: dict[str, Any], ours: Row | None, with_changes: bool) -> bool:
    if ours is None:
        return True
    released = (
        ours.default,
        ours.stored,
        ours.text_format,
        *(_RELEASED.get(ours.path) or (ours.low, ours.high)),
    )
    told = (row["default"], row["stored"], row["text_format"], row["min"], row["max"])
    return with_changes and told != released


def _entry(row: Row) -> dict[str, Any]:
    return {
        "path": row.path,
        "kind": row.kind,
        "default": row.default,
        "text_format": row.text_format,
        "stored": row.stored,
        "min": row.low,
        "max": row.high,
        "meaning": "",
        "written_by": "nobody" if not row.writable else "GX, device" if row.from_gx else "device",
    }


def command(arguments: Sequence[str]) -> int:
    """``import-services-yml FILE [-o FILE]``: print or write a types file."""
    parser = argparse.ArgumentParser(prog="import-services-yml", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="file to write (else printed)")
    given = parser.parse_args(list(arguments))
    try:
        types = added_types(read(given.file.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{given.file}: {error}\n")
        return 1
    text = json.dumps({"types": types}, indent=1) + "\n"
    if given.output is None:
        sys.stdout.write(text)
    else:
        given.output.write_text(text, encoding="utf-8")
    return 0
