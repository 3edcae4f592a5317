"""The help of each verb ends with two examples that work as typed (bridge.md a.2)."""

from __future__ import annotations

import re
import shlex

import pytest

from hardwired.cli.commands import MODULES
from hardwired.cli.main import VERB_HELP, main, parser

VERBS = sorted({*MODULES, *VERB_HELP})


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_each_verb_ends_with_two_examples(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    found = re.search(r"\n\nexamples:\n  (hardwired .*)\n  (hardwired .*)\n$", told)
    assert found is not None, told
    for example in found.groups():
        program, *words = shlex.split(example, comments=True)
        assert program == "hardwired"
        redirected = words[: words.index(">")] if ">" in words else words
        after = [one for one in redirected if not one.startswith("--log-level")]
        start = after.index(verb)
        assert parser(*after[start : start + 2]).parse_args(redirected).run
