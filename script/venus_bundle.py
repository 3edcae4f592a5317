"""Puts the Venus OS driver's bundle together; called by script/venus_bundle, which fetches."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from archives import ROOT, source_files, sources, untracked

VENUS = ROOT / "standalone/venus"
EXECUTABLE = {"install.sh", "uninstall.sh", "boot.sh", "setup", "run"}
LEFT_OUT = ("dbus_fast/glib",)  # needs what the driver does not use
REPOSITORY = "hardwired-ha:main"


def version() -> str:
    """Return the driver's version."""
    text = (VENUS / "mqtt_devices/__init__.py").read_text()
    found = re.search(r'^VERSION = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("mqtt_devices/__init__.py has no VERSION")
    return found[1]


def gather(vendor: Path) -> dict[str, bytes]:
    """Return every file of the bundle: path below its folder -> content."""
    if strange := untracked(VENUS / "bundle", VENUS / "mqtt_devices"):
        print(f"left out, git does not track it: {', '.join(strange)}", file=sys.stderr)
    files: dict[str, bytes] = {}
    files.update(source_files(VENUS / "bundle"))
    for path in sources(VENUS / "mqtt_devices"):
        if path.suffix in (".py", ".json"):
            files[f"app/{path.relative_to(VENUS).as_posix()}"] = path.read_bytes()
    for path in sorted(vendor.rglob("*.py")):
        name = path.relative_to(vendor).as_posix()
        if not name.startswith(LEFT_OUT):
            files[f"app/vendor/{name}"] = path.read_bytes()
    licence = next(iter(vendor.glob("dbus_fast-*.dist-info/**/LICENSE")))
    files["LICENSES.txt"] = (
        b"mqtt-devices\n\n"
        + (ROOT / "LICENSE").read_bytes()
        + b"\n\ndbus-fast (app/vendor)\n\n"
        + licence.read_bytes()
    )
    files["version"] = f"v{version()}\n".encode()
    files["gitHubInfo"] = f"{REPOSITORY}\n".encode()
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items())]
    files["SHA256SUMS"] = ("\n".join(sums) + "\n").encode()
    return files


def mode(name: str) -> int:
    """Return the mode of a file."""
    return 0o755 if name.rsplit("/", 1)[-1] in EXECUTABLE else 0o644


def unpack(files: dict[str, bytes], folder: Path) -> None:
    """Write the bundle into a folder, in place of what is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    for name, data in files.items():
        path = beside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode(name))
    beside.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def pack(files: dict[str, bytes], target: Path) -> None:
    """Write the bundle as an archive that depends on nothing but its content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"mqtt-devices/{name}")
            entry.size, entry.mode = len(data), mode(name)
            archive.addfile(entry, io.BytesIO(data))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(raw.getvalue(), mtime=0))


def main(arguments: list[str]) -> int:
    """Build; returns the exit status."""
    files = gather(Path(arguments[0]))
    match arguments[1:]:
        case [folder] if folder != "--pack":
            unpack(files, Path(folder))
            print(folder)
            return 0
        case ["--pack", folder]:
            target = Path(folder) / f"mqtt-devices-{version()}.tar.gz"
        case _:
            target = ROOT / f"dist/mqtt-devices-{version()}.tar.gz"
    pack(files, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target}  {target.stat().st_size} bytes  {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
