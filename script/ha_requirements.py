"""Print what a Home Assistant of this environment asks for when it runs our configuration.

Home Assistant installs the requirements of an integration when it loads it. A demo or a test
must not (``--skip-pip``), so they are computed beforehand: from the integrations that every
start loads and from those named on the command line, through their manifests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from homeassistant import bootstrap, components
from homeassistant.auth.mfa_modules import totp

NOT_STARTED = {"cloud"}  # an optional dependency of many, set up by none here


def requirements(domains: set[str]) -> set[str]:
    """Return the requirements of integrations and of all that they depend on."""
    folder = Path(components.__path__[0])
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(domains)
    while waiting:
        domain = waiting.pop()
        manifest = folder / domain / "manifest.json"
        if domain in seen or domain in NOT_STARTED or not manifest.exists():
            continue
        seen.add(domain)
        content = json.loads(manifest.read_text(encoding="utf-8"))
        found.update(content.get("requirements", ()))
        waiting += content.get("dependencies", ())
        waiting += content.get("after_dependencies", ())
    return found


def main() -> None:
    """Print them, one a line."""
    always = set(bootstrap.DEFAULT_INTEGRATIONS) | set(bootstrap.CRITICAL_INTEGRATIONS)
    found = requirements(always | set(sys.argv[1:])) | set(totp.REQUIREMENTS)
    print("\n".join(sorted(found, key=str.lower)))


if __name__ == "__main__":
    main()
