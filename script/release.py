"""Put the integration and the app into archives and sum up; called by script/release."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from archives import checksum_line, files_below, write_zip

ROOT = Path(__file__).resolve().parents[1]
INTEGRATION = ROOT / "custom_components" / "hardwired"
APP = ROOT / "standalone" / "install" / "app" / "hardwired"


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
    target = Path(sys.argv[1])
    wheel = next(iter(target.glob("hardwired-*.whl")))
    told = versions(wheel)
    if len(set(told.values())) != 1:
        raise SystemExit(f"the versions differ: {told}")
    write_zip(target / "hardwired.zip", dict(files_below(INTEGRATION)))
    app = dict(files_below(APP)) | {wheel.name: wheel.read_bytes()}
    write_zip(target / "hardwired-app.zip", {f"hardwired/{name}": app[name] for name in app})
    made = sorted(
        path for pattern in ("*.zip", "*.whl", "*.pyz", "*.tar.gz") for path in target.glob(pattern)
    )
    (target / "SHA256SUMS").write_text("".join(map(checksum_line, made)), encoding="utf-8")
    for path in made:
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
