"""Drawings as files: an SVG as it is, a PNG by a headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .processes import Missing

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SIZE = re.compile(r'width="(\d+)" height="(\d+)"')


def check(path: Path) -> None:
    """Raise ValueError or Missing for a file that no picture can be written into."""
    if path.suffix not in (".svg", ".png"):
        raise ValueError(f"{path}: a picture is a .svg or a .png")
    if path.suffix == ".png" and not any(map(shutil.which, BROWSERS)):
        raise Missing("a .png needs Chromium (apt-get install chromium); a .svg needs nothing")
    if not path.resolve().parent.is_dir():
        raise ValueError(f"{path}: there is no such folder")


def write(drawn: str, path: Path) -> None:
    """Write an SVG document into a file; raises Missing, ValueError or OSError."""
    check(path)
    if path.suffix == ".svg":
        new = path.with_name(path.name + ".new")  # whoever shows it never gets a half
        new.write_text(drawn, encoding="utf-8")
        new.replace(path)
    else:
        _render(drawn, path)


def _render(drawn: str, path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    size = _SIZE.search(drawn)
    assert browser is not None
    assert size is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source = Path(folder) / "screen.svg"
        source.write_text(drawn, encoding="utf-8")
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--disable-gpu",
                "--hide-scrollbars",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                f"--user-data-dir={folder}/profile",
                f"--window-size={size[1]},{size[2]}",
                f"--screenshot={path.resolve()}",
                source.as_uri(),
            ],
            check=False,
            capture_output=True,
            timeout=120,
        )
    if done.returncode or not path.exists():
        raise Missing(f"Chromium drew nothing (it ended with {done.returncode})")
