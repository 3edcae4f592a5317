"""What script/release does in Python.

``release.py --stage [--dirty] TREE`` looks whether there is anything to release, and copies what
the wheel is made of; ``release.py FOLDER`` puts the integration and the app into archives.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from archives import (
    ROOT,
    checksum_line,
    copy_sources,
    source_files,
    uncommitted,
    untracked,
    write_zip,
)

INTEGRATION = ROOT / "custom_components" / "hardwired"
APP = ROOT / "standalone" / "install" / "app" / "hardwired"
PACKED = (ROOT / "standalone", ROOT / "custom_components")
"""The folders of which anything goes into a release."""
HEADING = re.compile(r"^## (\S+)", re.MULTILINE)


def unreleasable(version: str, changes: str) -> str | None:
    """Return why a version can't be released by what the change log says; ``None``: it can."""
    newest, *released = HEADING.findall(changes)
    if version in released:
        return (
            f"CHANGELOG.md says that {version} is released already: raise the version in "
            "manifest.json and in the app's config.yaml"
        )
    if newest not in ("Unreleased", version):
        return f"CHANGELOG.md begins with {newest}, and the version is {version}"
    return None


def stage(tree: Path, *, dirty: bool) -> None:
    """Copy what the wheel is made of into *tree*.

    Raises :class:`SystemExit` when it must not be released: a version that is no new one; files
    that are not as committed, unless *dirty*.
    """
    version = json.loads((INTEGRATION / "manifest.json").read_text())["version"]
    if reason := unreleasable(version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")):
        raise SystemExit(reason)
    if changed := uncommitted(*PACKED):
        said = f"not as committed: {', '.join(changed)}"
        if not dirty:
            raise SystemExit(f"{said}; commit or restore first (--dirty: for a try)")
        print(said, file=sys.stderr)
    if strange := untracked(*PACKED):
        print(f"left out, git does not track it: {', '.join(strange)}", file=sys.stderr)
    copy_sources(tree, *PACKED)


def versions(wheel: Path) -> dict[str, str]:
    """Return every place that says the version; they must agree."""
    app = re.search(r"^version: (\S+)$", (APP / "config.yaml").read_text(), re.MULTILINE)
    return {
        "manifest.json": json.loads((INTEGRATION / "manifest.json").read_text())["version"],
        "the wheel": wheel.name.split("-")[1],
        "the app's config.yaml": app[1] if app else "",
    }


def main() -> None:
    """Write both archives and SHA256SUMS into the folder given."""
    target = Path(sys.argv[-1])
    if sys.argv[1] == "--stage":
        stage(target, dirty="--dirty" in sys.argv)
        return
    wheel = next(iter(target.glob("hardwired-*.whl")))
    told = versions(wheel)
    if len(set(told.values())) != 1:
        raise SystemExit(f"the versions differ: {told}")
    write_zip(target / "hardwired.zip", dict(source_files(INTEGRATION)))
    app = dict(source_files(APP)) | {wheel.name: wheel.read_bytes()}
    write_zip(target / "hardwired-app.zip", {f"hardwired/{name}": app[name] for name in app})
    made = sorted(
        path for pattern in ("*.zip", "*.whl", "*.pyz", "*.tar.gz") for path in target.glob(pattern)
    )
    (target / "SHA256SUMS").write_text("".join(map(checksum_line, made)), encoding="utf-8")
    for path in made:
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
