"""Files of the old programs (spec d.3): each result is read by our own reader."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.main import main
from hardwired.compat.importing import Refused, as_toml, import_file
from hardwired.config.reader import read_config
from tests.vector_files import cases

INI = "[inventum]\nreset = 30\n[mqtt]\nserver = h\nusername = u\npassword = hunter22\n"


def without_parsers_words(text: str) -> str:
    return text.partition("this is not YAML")[1] or text


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "import.json"))
def test_import(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(Refused) as refused:
            import_file(case["program"], case["source"].encode())
        assert without_parsers_words(str(refused.value)) == without_parsers_words(case["error"])
        return
    found = import_file(case["program"], case["source"].encode())
    assert found.config == case["config"]
    assert [one.as_dict() for one in found.said] == case["said"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "import.json"))
def test_each_result_is_a_config_of_ours(case: dict[str, Any]) -> None:
    if "error" in case:
        pytest.skip("refused")
    found = import_file(case["program"], case["source"].encode())
    text = as_toml(found.config, found.said)
    assert tomllib.loads(text) == {key: value for key, value in found.config.items() if value}
    config = read_config(text.encode())
    assert config.ok, config.errors


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "import.json"))
def test_the_program_is_recognised(case: dict[str, Any]) -> None:
    if "error" in case or not case["source"]:
        pytest.skip("nothing to recognise")
    assert import_file("auto", case["source"].encode()).config == case["config"]


@given(st.binary(max_size=300), st.sampled_from(["sunsniff", "xtender_mqtt", "inetbox.py"]))
def test_no_content_makes_it_fall(content: bytes, program: str) -> None:
    with pytest.raises(Refused):
        import_file(program, content)


@given(st.text(max_size=300))
def test_no_ini_makes_it_fall(content: str) -> None:
    try:
        import_file("inventumusb", content.encode("utf-8", "replace"))
    except Refused:
        return


def test_the_command_writes_a_file_and_secrets(tmp_path: Path, capsys: Any) -> None:
    old, new = tmp_path / "old.conf", tmp_path / "CONFIG.toml"
    old.write_text(INI)
    arguments = ["import", "auto", str(old), "-o", str(new), "--secrets", str(tmp_path / "s")]
    assert main(arguments) == 0
    assert "stop and disable inventum.service" in capsys.readouterr().err
    assert new.stat().st_mode & 0o777 == 0o600
    assert "hunter22" not in new.read_text()
    assert new.read_text().startswith("#:schema ./config.schema.json\n")
    secret = tmp_path / "s" / "mqtt.password"
    assert secret.read_text() == "hunter22\n"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert read_config(new.read_bytes()).ok
    assert main(arguments) == 1
    assert main([*arguments, "--force"]) == 0
