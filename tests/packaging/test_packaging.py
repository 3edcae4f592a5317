"""What HACS, hassfest and a user expect of the files themselves. Section 15 of the guide."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import custom_components.hardwired  # noqa: F401 - pins the package before anything else
from custom_components.hardwired.const import PLATFORMS
from custom_components.hardwired.engines.engine import CommandError, Reason
from custom_components.hardwired.engines.fields import Field, Quantity
from custom_components.hardwired.engines.sunsynk.modbus.writable import WRITABLE
from custom_components.hardwired.families import FAMILIES

from .check_integration import check, check_hacs

ROOT = Path(__file__).resolve().parents[2]
INTEGRATION = ROOT / "custom_components" / "hardwired"
LANGUAGES = ("en", "nl", "de", "fr")

NAMED_BY_CLASS = frozenset({Quantity.STATE_OF_CHARGE})


def texts(language: str = "en") -> dict[str, Any]:
    """Return the texts of one language."""
    path = INTEGRATION / "translations" / f"{language}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def fields() -> Iterator[tuple[str, str, Field]]:
    """Yield every field of every family with its kind of device."""
    for key, family in FAMILIES.items():
        for kind, catalogue in family.catalogues.items():
            for item in catalogue.values():
                yield key, kind, item
    for item in WRITABLE.values():  # what an inverter has when its owner lets it be changed
        yield "sunsynk", WRITABLE.kind, item


def test_the_rules_of_hassfest_hold() -> None:
    report = check(INTEGRATION)
    assert report.errors == []
    assert report.warnings == []


def test_the_rules_of_hacs_hold() -> None:
    report = check_hacs(ROOT / "hacs.json", INTEGRATION)
    assert report.errors == []


def test_the_combined_texts_are_up_to_date() -> None:
    outcome = subprocess.run(
        [sys.executable, ROOT / "script" / "strings.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout


def test_all_languages_say_the_same_things() -> None:
    def keys(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        if isinstance(tree, dict):
            for name, value in tree.items():
                yield from keys(value, (*path, name))
        else:
            yield path

    english = set(keys(texts()))
    for language in LANGUAGES[1:]:
        assert set(keys(texts(language))) == english, language


def test_the_other_languages_are_translated() -> None:
    """A text of several words that is the same as the English one was forgotten."""

    def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
        if isinstance(tree, dict):
            for name, value in tree.items():
                yield from leaves(value, f"{path}.{name}")
        else:
            yield path, tree

    english = dict(leaves(texts()))
    for language in LANGUAGES[1:]:
        same = [
            f"{path}: {text}"
            for path, text in leaves(texts(language))
            if english[path] == text and len(re.findall(r"[A-Za-z]{4,}", text)) > 2
        ]
        assert same == [], language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_its_texts(language: str) -> None:
    all_texts = texts(language)
    for reason in Reason:
        if reason is Reason.STARTING:
            continue
        assert reason.value in all_texts["exceptions"], reason
        assert reason.value in all_texts["config"]["error"], reason


def test_every_error_of_the_engines_has_its_text() -> None:
    known = texts()["exceptions"]
    names = {kind.__name__ for kind in _all_subclasses(CommandError)} | {"CommandError"}
    for kind in _all_subclasses(CommandError):
        assert kind.key in known, kind
    for path in (INTEGRATION / "engines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            for keyword in node.keywords:
                if (
                    name in names
                    and keyword.arg == "key"
                    and isinstance(keyword.value, ast.Constant)
                ):
                    assert keyword.value.value in known, f"{path.name}: {keyword.value.value}"


def _all_subclasses(kind: type[CommandError]) -> Iterator[type[CommandError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _all_subclasses(one)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_that_becomes_an_entity_has_a_name(language: str) -> None:
    entities = texts(language)["entity"]
    missing = []
    for key, kind, item in fields():
        family = FAMILIES[key]
        platform = family.platform(kind, item)
        if platform is None:
            continue
        entry = entities.get(platform, {}).get(family.translation_key(kind, item), {})
        if "name" not in entry:
            missing.append(f"{platform}.{family.translation_key(kind, item)}")
        if item.quantity is Quantity.OPTION:
            missing.extend(
                f"{platform}.{family.translation_key(kind, item)}.state.{option}"
                for option in item.options
                if option not in entry.get("state", {})
            )
    assert missing == []


def test_no_entity_text_is_left_over() -> None:
    used = {
        (platform, family.translation_key(kind, item))
        for key, kind, item in fields()
        for family in (FAMILIES[key],)
        if (platform := family.platform(kind, item)) is not None
    }
    used |= {
        (composite.component.value, family.composite_key(composite))
        for family in FAMILIES.values()
        for kind in family.catalogues
        for composite in family.factory.composites(kind)
    }
    found = {(platform, key) for platform, keys in texts()["entity"].items() for key in keys}
    assert found - used == set()


def test_every_platform_says_how_many_updates_run_at_once() -> None:
    """All that come: an engine must see a newer wish while an older one is under way."""
    for platform in PLATFORMS:
        source = (INTEGRATION / f"{platform}.py").read_text(encoding="utf-8")
        assert re.search(r"^PARALLEL_UPDATES = 0$", source, re.MULTILINE), platform


def test_platforms_define_no_second_base_entity() -> None:
    for platform in PLATFORMS:
        tree = ast.parse((INTEGRATION / f"{platform}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                assert bases & {"FieldEntity", "CompositeEntity"}, f"{platform}.{node.name}"


def test_nothing_of_an_entry_is_kept_in_hass_data() -> None:
    """An app has no entry that could hold what stands for it: a typed key does."""
    for path in INTEGRATION.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "hass.data" not in text or (path.name == "app.py" and "HassKey[" in text), path.name


def test_the_quality_scale_names_a_proof_that_exists() -> None:
    rules = yaml.safe_load((INTEGRATION / "quality_scale.yaml").read_text())["rules"]
    for rule, entry in rules.items():
        assert isinstance(entry, dict), rule
        assert entry.get("comment"), f"{rule} has no comment"
        if entry["status"] != "done":
            continue
        proofs = re.findall(
            r"((?:tests|docs|script)/[\w/.]+|README\.md)(?:::(\w+))?", entry["comment"]
        )
        assert proofs, f"{rule} names no proof"
        for path, name in proofs:
            target = ROOT / path.rstrip(".")
            assert target.exists(), f"{rule}: {path} does not exist"
            if name:
                assert f"def {name}" in target.read_text(encoding="utf-8"), f"{rule}: no {name}"


def test_the_readme_and_the_pages_have_their_sections() -> None:
    """The documentation rules of the quality scale, by their headings."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for heading in ("Install", "Remove", "Devices"):
        assert re.search(rf"^#+ .*{heading}", readme, re.MULTILINE), heading
    for key in FAMILIES:
        page = (ROOT / "docs" / f"{key}.md").read_text(encoding="utf-8")
        for heading in (
            "Supported devices",
            "Set up",
            "If not",
            "Entities",
            "How the data are updated",
            "Examples",
            "Known limits",
            "Removing",
        ):
            assert re.search(rf"^#+ {heading}", page, re.MULTILINE), f"{key}: {heading}"


def test_the_form_fields_are_explained_in_the_pages() -> None:
    english = texts()
    pages = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")
    ).lower()
    for section in ("config", "options"):
        for step, body in english.get(section, {}).get("step", {}).items():
            for field, label in body.get("data", {}).items():
                assert field in body.get("data_description", {}), f"{section}.{step}.{field}"
                assert label.lower() in pages, f"{section}.{step}.{field}: {label}"


def test_the_actions_are_documented() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    described = yaml.safe_load((INTEGRATION / "services.yaml").read_text(encoding="utf-8")) or {}
    for action in described:
        assert f"hardwired.{action}" in pages, action
