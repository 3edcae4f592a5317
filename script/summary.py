"""Sum up pytest's reports in one line; the exit code says whether all is well.

Usage: summary.py BROKEN REPORT ...   (BROKEN: parts that failed outside of any test)
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def main(broken: int, reports: list[Path]) -> int:
    """Print what went wrong, then ``N passed, N failed, N skipped``."""
    passed, failed, skipped = 0, broken, 0
    for report in reports:
        for case in ET.parse(report).getroot().iter("testcase"):
            outcomes = {child.tag for child in case}
            if outcomes & {"failure", "error"}:
                failed += 1
                print(f"failed: {report.stem}: {case.get('classname')}::{case.get('name')}")
            elif "skipped" in outcomes:
                skipped += 1
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    if not passed + failed:
        print("no test ran", file=sys.stderr)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), [path for path in map(Path, sys.argv[2:]) if path.exists()]))
