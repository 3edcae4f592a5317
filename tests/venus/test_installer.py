"""Installer and uninstaller under BusyBox' shell, in a folder that imitates a GX (spec G.3).

Nothing but BusyBox, a Python and stand-ins for the supervisor's commands is in the path.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gx.processes import program

from .conftest import Gx
from .pythons import pythons

pytestmark = pytest.mark.slow

BLOCK = """# mqtt-devices begin
if [ -x /data/mqtt-devices/boot.sh ]; then /data/mqtt-devices/boot.sh & fi
# mqtt-devices end
"""
APPLETS = (
    "awk basename cat chmod cp cut dirname echo false grep head ls mkdir mv pwd readlink rm sed "
    "sh sha256sum sleep sort tail test touch tr true uname wc"
)
OLD_RUN = """#!/bin/sh
exec 2>&1
exec softlimit -d 100000000 python3 -u \\
    /data/drivers/dbus-mqtt-devices-0.8.0/dbus_mqtt_devices.py -q 10.0.0.7
"""


class Machine:
    """A GX as a folder; ``calls`` are the supervisor's commands that were given."""

    def __init__(self, root: Path, bundle: Path) -> None:
        self.root = root
        self.unpacked = root / "tmp/mqtt-devices"
        shutil.copytree(bundle, self.unpacked)
        for folder in ("data", "service", "opt/victronenergy", "bin"):
            (root / folder).mkdir(parents=True)
        (root / "opt/victronenergy/version").write_text("v3.55\n")
        self.home = root / "data/mqtt-devices"
        self.service = root / "service/mqtt-devices"
        self.rc_local = root / "data/rc.local"
        self._commands()

    def _commands(self) -> None:
        busybox = program("busybox")
        for applet in APPLETS.split():
            (self.root / "bin" / applet).symlink_to(busybox)
        oldest = min(pythons(), key=lambda it: tuple(map(int, it.split("."))))
        self._command("python3", f'exec {pythons()[oldest]} -E -s "$@"')
        log = self.root / "calls"
        for name in ("svc", "svrescan", "logger"):
            self._command(name, f'echo "{name} $*" >>{log}')
        self._command("svstat", f'echo "svstat $*" >>{log}; echo "$1: up (pid 1) 1 seconds"')
        self._command("pidof", f"[ -e {self.root}/svscan-runs ]")
        (self.root / "svscan-runs").touch()

    def _command(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!{program('busybox')} sh\n{text}\n")
        path.chmod(0o755)

    def run(self, script: Path, *words: str, wait: str = "4") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "bin/sh", script, *words],
            env={"PATH": str(self.root / "bin"), "GX_ROOT": str(self.root), "GX_WAIT": wait},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def install(self, *words: str) -> None:
        done = self.run(self.unpacked / "install.sh", *words)
        assert done.returncode == 0, done.stderr + done.stdout
        assert "is installed and runs" in done.stdout

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().replace(str(self.root), "").splitlines() if path.exists() else []

    def files(self) -> dict[str, bytes]:
        """Return what lies outside of our own folders."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
            and not path.is_relative_to(self.home)
            and not path.is_relative_to(self.service)
            and path.relative_to(self.root).parts[0] not in ("bin", "tmp", "calls")
        }


@pytest.fixture
def machine(tmp_path: Path, bundle: Path) -> Machine:
    return Machine(tmp_path / "gx", bundle)


def test_installing(machine: Machine) -> None:
    machine.install()
    assert machine.rc_local.read_text() == "#!/bin/sh\n" + BLOCK
    assert os.access(machine.rc_local, os.X_OK)
    for path in ("run", "log/run"):
        assert (machine.service / path).read_bytes() == (
            machine.home / "service" / path
        ).read_bytes()
        assert os.access(machine.service / path, os.X_OK)
    assert not machine.service.is_symlink()
    assert "svrescan " in machine.calls
    assert (machine.home / "version").read_text() == "v1.0.0\n"
    version = subprocess.run(
        [next(iter(pythons().values())), machine.home / "app/main.py", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout == "1.0.0\n"


@pytest.mark.parametrize("image", ["3.55", "3.60", "3.77", "3.77-large"])
def test_every_image_of_venus_os(machine: Machine, image: str) -> None:
    """Nothing outside of our own folders but the boot lines, beside what a large image has."""
    (machine.root / "opt/victronenergy/version").write_text(f"v{image[:4]}\n")
    others = []
    if image.endswith("large"):
        (machine.root / "data/home/nodered").mkdir(parents=True)
        for name in ("node-red-venus", "signalk-server"):
            others.append(machine.root / "service" / name / "run")
            others[-1].parent.mkdir()
            others[-1].write_text("#!/bin/sh\n")
    if image > "3.6":  # newer Python, as on the newer images
        newest = max(pythons(), key=lambda it: tuple(map(int, it.split("."))))
        machine._command("python3", f'exec {pythons()[newest]} -E -s "$@"')
    before = machine.files()
    machine.install()
    after = machine.files()
    assert {it for it in after if after[it] != before.get(it)} == {"data/rc.local"}
    assert all(it.read_text() == "#!/bin/sh\n" for it in others)
    limits = (machine.home / "service/run").read_text()
    assert "/data/mqtt-devices/app" in limits.replace("$HOME_FOLDER", "/data/mqtt-devices")
    assert not [it for it in machine.calls if "node-red" in it or "signalk" in it]


HELPERS = """scriptAction=$1
EXIT_ERROR=255
setInstallFailed() { echo "failed: $2" >>"$GX_ROOT/calls"; }
endScript() { echo "endScript $scriptAction" >>"$GX_ROOT/calls"; exit 0; }
"""


def _as_package(machine: Machine) -> Path:
    """Lay the bundle where SetupHelper's package manager puts a package."""
    package = machine.root / "data/mqtt-devices"
    shutil.copytree(machine.unpacked, package)
    return package


def test_as_a_package_of_setup_helper(machine: Machine) -> None:
    """Its package manager installs, installs again after a firmware update, and removes."""
    package = _as_package(machine)
    assert (package / "version").read_text().startswith("v")
    assert ":" in (package / "gitHubInfo").read_text()
    assert os.access(package / "setup", os.X_OK)
    helpers = machine.root / "data/SetupHelper/HelperResources"
    helpers.mkdir(parents=True)
    (helpers / "IncludeHelpers").write_text(HELPERS)
    for action in ("NONE", "INSTALL"):  # NONE: started by hand
        done = machine.run(package / "setup", action)
        assert done.returncode == 0, done.stderr
        assert machine.calls[-1] == "endScript INSTALL"
        assert (machine.service / "run").exists()
        shutil.rmtree(machine.root / "service")  # as a firmware update does
        (machine.root / "service").mkdir()
    done = machine.run(package / "setup", "UNINSTALL")
    assert done.returncode == 0, done.stderr
    assert machine.calls[-1] == "endScript UNINSTALL"
    assert not machine.service.exists()
    assert not [it for it in machine.calls if it.startswith("failed")]


def test_a_package_without_setup_helper(machine: Machine) -> None:
    package = _as_package(machine)
    assert machine.run(package / "setup").returncode == 0
    assert (machine.service / "run").exists()
    assert machine.run(package / "setup", "uninstall").returncode == 0
    assert not package.exists()


def test_installing_again_changes_nothing(machine: Machine) -> None:
    machine.install()
    before = machine.files()
    (machine.home / "config.json").write_text('{"restore": true}')
    (machine.home / "state.json").write_text('{"energy": {}}')
    (machine.home / "app/old.py").touch()
    machine.install()
    assert machine.files() == before
    assert (machine.home / "config.json").read_text() == '{"restore": true}'
    assert (machine.home / "state.json").read_text() == '{"energy": {}}'
    assert not (machine.home / "app/old.py").exists()  # of an older version
    assert "svc -t /service/mqtt-devices" in machine.calls  # the new one is started


def test_installing_from_where_it_is_installed(machine: Machine) -> None:
    machine.install()
    done = machine.run(machine.home / "install.sh")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "before, after",
    [
        ("#!/bin/sh\necho a\n", "#!/bin/sh\necho a\n" + BLOCK),
        ("#!/bin/sh\necho a\nexit 0\n", f"#!/bin/sh\necho a\n{BLOCK}exit 0\n"),
        ("#!/bin/sh\nexit\n# end\n\n", f"#!/bin/sh\n{BLOCK}exit\n# end\n\n"),
        ("#!/bin/sh\nif x; then\n  exit 1\nfi\n", "#!/bin/sh\nif x; then\n  exit 1\nfi\n" + BLOCK),
    ],
)
def test_the_owners_boot_lines_stay(machine: Machine, before: str, after: str) -> None:
    machine.rc_local.write_text(before)
    machine.install()
    machine.install()
    assert machine.rc_local.read_text() == after
    done = machine.run(machine.home / "uninstall.sh")
    assert done.returncode == 0, done.stderr
    assert machine.rc_local.read_text() == before


def test_uninstalling(machine: Machine) -> None:
    machine.rc_local.write_text("#!/bin/sh\necho mine\n")
    before = machine.files()
    machine.install()
    done = machine.run(machine.home / "uninstall.sh")
    assert done.returncode == 0, done.stderr
    assert not machine.home.exists()
    assert not machine.service.exists()
    assert machine.files() == before
    stops = [it for it in machine.calls if it.startswith("svc -d")]
    assert stops[:2] == ["svc -d /service/mqtt-devices", "svc -d /service/mqtt-devices/log"]
    assert "svc -dx /service/mqtt-devices" in stops


def test_a_firmware_update(machine: Machine) -> None:
    """The root file system is new and /service is made anew; /data has what is needed."""
    machine.install()
    shutil.rmtree(machine.root / "service")
    shutil.rmtree(machine.root / "opt")
    (machine.root / "service").mkdir()
    (machine.root / "calls").unlink()
    done = machine.run(machine.home / "boot.sh")
    assert done.returncode == 0, done.stderr
    assert (machine.service / "run").exists()
    assert machine.calls == ["svrescan "]


def test_booting_waits_for_the_folder(machine: Machine) -> None:
    machine.install()
    shutil.rmtree(machine.root / "service")
    done = machine.run(machine.home / "boot.sh", wait="2")
    assert done.returncode == 0
    assert not (machine.root / "service").exists()  # never made by us
    assert any("not started" in it for it in machine.calls)


def test_installing_while_the_folder_is_away(machine: Machine) -> None:
    shutil.rmtree(machine.root / "service")
    done = machine.run(machine.unpacked / "install.sh", wait="2")
    assert done.returncode == 1
    assert "starts with the next boot" in done.stderr
    assert not (machine.root / "service").exists()
    assert BLOCK in machine.rc_local.read_text()


def test_a_supervisor_that_does_not_run_yet(machine: Machine) -> None:
    (machine.root / "svscan-runs").unlink()
    done = machine.run(machine.unpacked / "install.sh", wait="2")
    assert done.returncode == 1
    assert not machine.service.exists()


def test_a_down_file_keeps_it_off(machine: Machine) -> None:
    machine.install()
    (machine.home / "service/down").touch()
    machine.install()
    assert (machine.service / "down").exists()


@pytest.mark.parametrize("link", [True, False])
def test_taking_over_from_the_reference_driver(machine: Machine, link: bool) -> None:
    driver = machine.root / "data/drivers/dbus-mqtt-devices-0.8.0"
    service = driver / "bin/service" if link else machine.root / "service/dbus-mqtt-devices"
    (service / "log").mkdir(parents=True)
    (service / "run").write_text(OLD_RUN)
    driver.mkdir(parents=True, exist_ok=True)
    (driver / "VERSION").write_text("0.8.0\n")
    if link:
        (machine.root / "service/dbus-mqtt-devices").symlink_to(service)
    line = "ln -s /data/drivers/dbus-mqtt-devices-0.8.0/bin/service /service/dbus-mqtt-devices"
    machine.rc_local.write_text(f"#!/bin/sh\n{line}\n")
    machine.install()
    assert machine.rc_local.read_text() == f"#!/bin/sh\n# {line}\n{BLOCK}"
    assert not (machine.root / "service/dbus-mqtt-devices").exists()
    assert driver.exists()  # old files are left where they are
    config = json.loads((machine.home / "config.json").read_text())
    assert config == {"mqtt": {"host": "10.0.0.7"}, "legacy_device_instance": True}
    stop = machine.calls.index("svc -d /service/dbus-mqtt-devices")
    assert stop < machine.calls.index("svrescan ")  # before ours starts


OLD_LINE = "ln -s /data/drivers/dbus-mqtt-devices-0.9.0/bin/service /service/dbus-mqtt-devices"


@pytest.mark.parametrize(
    "before, after, told",
    [
        (
            f"if [ -d /data/drivers ]; then\n  {OLD_LINE}\nfi\n",
            f"if [ -d /data/drivers ]; then\n: #   {OLD_LINE}\nfi\n",
            False,
        ),
        (f"if x; then\n  a\n  {OLD_LINE}\nfi\n", f"if x; then\n  a\n#   {OLD_LINE}\nfi\n", False),
        (
            "if [ -e /data/drivers/dbus-mqtt-devices ]; then\n  a\nfi\n",
            "if [ -e /data/drivers/dbus-mqtt-devices ]; then\n  a\nfi\n",
            True,
        ),
        (f"{OLD_LINE}\nif\n", f"# {OLD_LINE}\nif\n", False),  # was no script before
    ],
)
def test_the_boot_script_is_still_one_without_the_reference_driver(
    machine: Machine, before: str, after: str, told: bool
) -> None:
    machine.rc_local.write_text(f"#!/bin/sh\n{before}")
    done = machine.run(machine.unpacked / "install.sh")
    assert done.returncode == 0, done.stderr
    assert machine.rc_local.read_text() == f"#!/bin/sh\n{after}{BLOCK}"
    assert ("take these lines out by hand" in done.stdout) == told
    assert [path.name for path in (machine.root / "data").iterdir()].count("rc.local") == 1
    assert not list((machine.root / "data").glob("rc.local.*"))


def _no_version(machine: Machine) -> None:
    (machine.root / "opt/victronenergy/version").unlink()


def _damaged(machine: Machine) -> None:
    path = machine.unpacked / "app/mqtt_devices/rules.py"
    path.write_text(path.read_text() + "\n")


def _python_lacks_something(machine: Machine) -> None:
    (machine.root / "bin/python3").write_text(f"#!{program('busybox')} sh\nexit 1\n")


@pytest.mark.parametrize(
    "spoil, words",
    [
        (_no_version, "this is no Venus OS"),
        (_damaged, "the files are damaged"),
        (_python_lacks_something, "nothing was changed"),
    ],
)
def test_what_is_refused(machine: Machine, spoil: Callable[[Machine], None], words: str) -> None:
    spoil(machine)
    before = machine.files()
    done = machine.run(machine.unpacked / "install.sh")
    assert done.returncode == 1
    assert words in done.stderr
    assert machine.files() == before
    assert not machine.home.exists()


def test_force_installs_where_no_venus_os_is(machine: Machine) -> None:
    _no_version(machine)
    machine.install("--force")


async def test_purging_removes_settings_of_our_devices_only(gx: Gx, bundle: Path) -> None:
    others = {
        "/Settings/Devices/other/ClassAndVrmInstance": "tank:7",
        "/Settings/Gui/Language": "en",
    }
    async with gx(settings=others) as seen:
        await seen.register({"clientId": "a", "connected": 1, "services": {"t": "tank"}})
        python = next(iter(pythons().values()))
        process = await asyncio.create_subprocess_exec(
            python,
            "-E",
            bundle / "app/main.py",
            "purge",
            seen.rig.bus.address,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert output == b"4 settings are removed\n"
        assert sorted(await seen.items("com.victronenergy.settings")) == sorted(others)
