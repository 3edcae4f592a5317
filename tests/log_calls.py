"""Looks through sources for log calls that would show an address with its secrets."""

from __future__ import annotations

import ast
from pathlib import Path

RAW = frozenset({"link", "url", "address", "uri", "server", "path"})
LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
HARMLESS = frozenset(
    {
        # A number on the plant's bus.
        "unit.address",
        # Host and port, taken apart; the login has settings of its own.
        "self._sink.broker.address",
    }
)


def _is_log_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and "_LOGGER" in ast.unparse(node.func.value)
    )


def raw_addresses(source: str) -> list[str]:
    """Return the attributes with an address as it is that log calls format, with their lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and _is_log_call(node)):
            continue
        waiting: list[ast.AST] = [*node.args, *(one.value for one in node.keywords)]
        while waiting:
            match part := waiting.pop():
                case ast.Call() if ast.unparse(part.func).startswith("masked"):
                    pass
                case ast.Attribute():
                    # Of ``self.link.name`` only the name is formatted.
                    if part.attr in RAW and ast.unparse(part) not in HARMLESS:
                        found.append(f"{node.lineno}: {ast.unparse(part)}")
                case ast.Subscript() if "link" in ast.unparse(part.slice).lower():
                    found.append(f"{node.lineno}: {ast.unparse(part)}")
                case _:
                    waiting += ast.iter_child_nodes(part)
    return found


def log_calls_with_raw_addresses(folder: Path) -> tuple[int, list[str]]:
    """Return how many log calls there are, and those that show an address as it is."""
    calls, found = 0, []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        calls += sum(map(_is_log_call, ast.walk(ast.parse(source))))
        found += [f"{path.relative_to(folder)}:{one}" for one in raw_addresses(source)]
    return calls, found
