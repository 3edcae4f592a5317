"""Archives whose bytes depend on nothing but the files in them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can say."""
LEFT_OUT = {"__pycache__"}


def git(*arguments: str, root: Path = ROOT) -> list[str]:
    """Return what git says, by NUL. Raises :class:`SystemExit` when it can't be asked.

    A release may be built by root in a checkout of somebody else, as on a build server.
    """
    ours = ("-c", f"safe.directory={root}", "-c", "core.fsmonitor=false")
    try:
        done = subprocess.run(
            ["git", *ours, "-C", str(root), *arguments], capture_output=True, check=True
        )
    except FileNotFoundError:
        raise SystemExit("git says which files belong to the project, and is not there") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.stderr.decode(errors="replace").strip()) from None
    return [name for name in done.stdout.decode().split("\0") if name]


def is_checkout(root: Path = ROOT) -> bool:
    """Whether git knows which files belong to the project; not so in an unpacked source archive."""
    return (root / ".git").exists()


def sources(folder: Path, *, root: Path = ROOT) -> list[Path]:
    """Return the project's files below *folder*, in order: what git tracks, nothing beside it.

    Without git: all, but for what is compiled.
    """
    if is_checkout(root):
        tracked = git("ls-files", "-z", "--", str(folder), root=root)
        return sorted(path for name in tracked if (path := root / name).is_file())
    return sorted(path for path in folder.rglob("*") if path.is_file() and not _compiled(path))


def _compiled(path: Path) -> bool:
    return path.suffix == ".pyc" or bool(LEFT_OUT & set(path.parts))


def uncommitted(*folders: Path, root: Path = ROOT) -> list[str]:
    """Return the files below *folders* that are not as they were committed, nor left out."""
    if not is_checkout(root):
        return []
    names = map(str, folders)
    return git("diff", "--name-only", "-z", "HEAD", "--", *names, root=root)


def untracked(*folders: Path, root: Path = ROOT) -> list[str]:
    """Return the files below *folders* that git neither tracks nor is told to ignore."""
    if not is_checkout(root):
        return []
    ask = ("ls-files", "-z", "--others", "--exclude-standard", "--")
    return git(*ask, *map(str, folders), root=root)


def copy_sources(target: Path, *folders: Path, root: Path = ROOT) -> None:
    """Copy the project's files below *folders* to the same places below *target*."""
    for folder in folders:
        for path in sources(folder, root=root):
            place = target / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files below *folder* in order: path from it, content; nothing compiled."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _compiled(path):
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def source_files(folder: Path, *, root: Path = ROOT) -> Iterator[tuple[str, bytes]]:
    """Yield :func:`sources`: path from *folder*, content."""
    for path in sources(folder, root=root):
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
