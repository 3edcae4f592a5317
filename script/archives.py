"""Archives whose bytes depend on nothing but the files in them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say."""
LEFT_OUT = {"__pycache__"}


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files below *folder* in order: path from it, content; nothing compiled."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc" and not LEFT_OUT & set(path.parts):
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def write_zip(target: Path, files: Mapping[str, bytes], *, before: bytes = b"") -> None:
    """Write a zip file; *before* comes ahead of it, such as the line that makes it a program."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(before)
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, MOMENT)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, files[name])
    if before:
        target.chmod(0o755)


def checksum_line(path: Path) -> str:
    """Return a file's line as ``sha256sum --check`` reads it."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
