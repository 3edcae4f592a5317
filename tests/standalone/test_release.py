"""What a release offers is built by one script, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from hardwired_engines.factory import linked_families

ROOT = Path(__file__).parents[2]
APP = ROOT / "standalone" / "install" / "app" / "hardwired"
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("release")]


def copied_by(dockerfile: Path) -> str:
    (row,) = (row for row in dockerfile.read_text().splitlines() if row.startswith("COPY "))
    return row.split()[1]


def build(target: Path) -> Path:
    words = [ROOT / "script" / "release", "--dirty", target]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return target


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("release"))


def test_a_second_build_has_the_same_bytes(release: Path, tmp_path: Path) -> None:
    again = build(tmp_path)
    assert (release / "SHA256SUMS").read_text() == (again / "SHA256SUMS").read_text()


def test_the_checksums_are_those_of_the_files(release: Path) -> None:
    rows = (release / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, name in (row.split("  ") for row in rows)}
    there = {path.name for path in release.iterdir()} - {"SHA256SUMS"}
    assert set(told) == there
    assert len(there) == 5
    for name, digest in told.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == digest


def test_the_archive_for_hacs_is_the_integration(release: Path) -> None:
    named = json.loads((ROOT / "hacs.json").read_text())
    assert named["zip_release"] is True
    integration = ROOT / "custom_components" / "hardwired"
    with zipfile.ZipFile(release / named["filename"]) as archive:
        names = set(archive.namelist())
        assert json.loads(archive.read("manifest.json"))["domain"] == "hardwired"
    tracked = subprocess.run(
        ["git", "ls-files", "."], cwd=integration, capture_output=True, text=True, check=False
    )
    assert tracked.returncode == 0
    assert set(tracked.stdout.split()) == names


def test_the_single_file_runs(release: Path) -> None:
    ended = subprocess.run(
        [release / "hardwired.pyz", "version"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert f"families: {', '.join(linked_families())}" in ended.stdout


def test_the_app_brings_its_wheel(release: Path) -> None:
    with zipfile.ZipFile(release / "hardwired-app.zip") as archive:
        names = set(archive.namelist())
    (wheel,) = release.glob("*.whl")
    assert {"hardwired/config.yaml", "hardwired/Dockerfile", f"hardwired/{wheel.name}"} <= names
    assert fnmatch(wheel.name, copied_by(APP / "Dockerfile"))
