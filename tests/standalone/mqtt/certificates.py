"""Certificates for the broker tests, made by openssl: good, expired, foreign, of another host."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder of its own."""

    folder: Path

    @property
    def file(self) -> str:
        return str(self.folder / "ca.pem")

    @classmethod
    def make(cls, folder: Path) -> Authority:
        folder.mkdir()
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
            "default_md=sha256\npolicy=any\nunique_subject=no\ncopy_extensions=copy\n"
            "[any]\ncommonName=supplied\n"
        )
        openssl(
            folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-days", "3650", "-subj", f"/CN={folder.name}",
        )  # fmt: skip
        return cls(folder)

    def issue(self, name: str, host: str | None = "127.0.0.1", *, expired: bool = False) -> None:
        """Make NAME.key and NAME.pem, for a host or for a client."""
        extensions = [] if host is None else ["-addext", f"subjectAltName={_kind(host)}:{host}"]
        openssl(
            self.folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", f"/CN={name}", *extensions,
        )  # fmt: skip
        end = "20200102000000Z" if expired else "20500101000000Z"
        openssl(
            self.folder, "ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile",
            "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-startdate",
            "20200101000000Z", "-enddate", end, "-notext",
        )  # fmt: skip

    def path(self, name: str) -> str:
        return str(self.folder / name)


def _kind(host: str) -> str:
    return "IP" if host.replace(".", "").isdigit() else "DNS"
