"""What a release is made of: what is committed, under a version that is a new one."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = runpy.run_path(str(ROOT / "script" / "archives.py"))
PLANTED = (".env", "config_flow.py.orig", "deep/.secret")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with two files that are committed and some that lie about."""
    root = tmp_path_factory.mktemp("project")
    (root / "app").mkdir()
    for name in ("app/one.py", "app/two.py", "elsewhere.py"):
        (root / name).write_text(f"# {name}\n")
    (root / ".gitignore").write_text("*.log\n__pycache__/\n")
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", root, *words], check=True)
    for name in (*PLANTED, "noise.log", "__pycache__/one.pyc"):
        (root / "app" / name).parent.mkdir(exist_ok=True)
        (root / "app" / name).write_text("planted")
    return root


def packed(project: Path) -> list[str]:
    return [name for name, _content in ARCHIVES["source_files"](project / "app", root=project)]


def test_only_what_is_tracked_is_packed(project: Path, tmp_path: Path) -> None:
    assert packed(project) == ["one.py", "two.py"]
    assert ARCHIVES["untracked"](project / "app", root=project) == sorted(
        f"app/{name}" for name in PLANTED
    )
    ARCHIVES["copy_sources"](tmp_path, project / "app", root=project)
    copied = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in copied) == [
        "app/one.py",
        "app/two.py",
    ]


def test_what_is_not_committed_is_found(project: Path) -> None:
    assert ARCHIVES["uncommitted"](project / "app", root=project) == []
    (project / "elsewhere.py").write_text("changed")
    one = project / "app" / "one.py"
    before = one.read_text()
    one.write_text("changed")
    assert ARCHIVES["uncommitted"](project / "app", root=project) == ["app/one.py"]
    one.unlink()
    assert ARCHIVES["uncommitted"](project / "app", root=project) == ["app/one.py"]
    assert packed(project) == ["two.py"]
    one.write_text(before)
    assert ARCHIVES["uncommitted"](project / "app", root=project) == []


def test_a_source_archive_has_no_git(tmp_path: Path) -> None:
    (tmp_path / "app" / "__pycache__").mkdir(parents=True)
    for name in ("one.py", "one.pyc", "__pycache__/two.pyc"):
        (tmp_path / "app" / name).write_text("x")
    assert packed(tmp_path) == ["one.py"]
    assert ARCHIVES["uncommitted"](tmp_path / "app", root=tmp_path) == []


@pytest.fixture(scope="module")
def release() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "script" / "release.py"))


def test_the_version_of_now_is_a_new_one_everywhere(release: dict[str, Any]) -> None:
    version = json.loads((release["INTEGRATION"] / "manifest.json").read_text())["version"]
    app = (release["APP"] / "config.yaml").read_text()
    assert re.findall(r"^version: (.+)$", app, re.MULTILINE) == [version]
    assert release["unreleasable"](version, (ROOT / "CHANGELOG.md").read_text()) is None


@pytest.mark.parametrize(
    ("version", "sections", "reason"),
    [
        ("0.2.0", ("Unreleased", "0.1.0"), None),
        ("0.2.0", ("0.2.0", "0.1.0"), None),
        ("0.1.0", ("Unreleased", "0.1.0"), "released already"),
        ("0.1.0", ("0.2.0", "0.1.0"), "released already"),
        ("0.3.0", ("0.2.0", "0.1.0"), "begins with 0.2.0"),
    ],
)
def test_a_version_is_released_once(
    release: dict[str, Any], version: str, sections: tuple[str, ...], reason: str | None
) -> None:
    changes = "# Changes\n\n" + "\n\n".join(f"## {section}\n\nText." for section in sections)
    said = release["unreleasable"](version, changes)
    assert (reason in said) if reason else said is None


def test_nothing_is_published_that_the_tests_have_not_passed() -> None:
    def read(name: str) -> dict[str, Any]:
        text = (ROOT / ".github" / name).read_text(encoding="utf-8")
        content: dict[str, Any] = yaml.load(text, yaml.BaseLoader)
        return content

    release = read("workflows/release.yml")
    jobs = release["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in read("workflows/test.yml")["on"]
    assert set(jobs["publish"]["needs"]) == {"test", "build"}
    assert not release["permissions"]
    assert [name for name, job in jobs.items() if "write" in job["permissions"].values()] == [
        "publish"
    ]
    assert jobs["publish"]["permissions"] == {"contents": "write"}


def test_a_report_of_the_helper_needs_no_diagnostics_file() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text("utf-8"))
    fields = {field["id"]: field for field in form["body"]}
    asked = fields["diagnostics"]
    assert not asked.get("validations", {}).get("required", False)
    assert "no such file: attach" in asked["attributes"]["description"]
