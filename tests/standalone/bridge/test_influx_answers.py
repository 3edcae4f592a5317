"""What answers mean, and whole batches against a server that is given by rules (spec e.4)."""

from __future__ import annotations

import re
import socket
import ssl
from datetime import UTC, datetime
from http.client import RemoteDisconnected
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.influx.answers import Answer, Class, Failure, failure_of, read_answer, read_failure
from hardwired.influx.delivery import Result, deliver, series_of
from tests.vector_files import cases

STATES = {Class.STORED: "ok", Class.OUTAGE: "outage", Class.CONFIGURATION: "config_error"}


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "influx.json", "answers"))
def test_answers(case: dict[str, Any]) -> None:
    answer = read_answer(case["status"], case["body"], retry_after=case.get("retry_after"))
    found = {"class": answer.cls.value, "why": answer.why, "wait": answer.wait}
    found["refused"] = answer.refused
    expect = case["expect"]
    assert {key: found[key] for key in expect} == {**expect, "why": expect["why"][:200]}


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "influx.json", "failures"))
def test_failures(case: dict[str, Any]) -> None:
    answer = read_failure(Failure(case["failure"]))
    found = {"class": answer.cls.value, "why": answer.why, "tell_after": answer.tell_after}
    assert {key: found[key] for key in case["expect"]} == case["expect"]


def by_rules(rules: list[dict[str, Any]], lines: list[str]) -> Answer:
    for rule in rules:
        count = sum(bool(re.search(rule.get("partial", "$^"), line)) for line in lines)
        fits = (
            ("any" in rule and any(re.search(rule["any"], line) for line in lines))
            or ("all" in rule and all(re.search(rule["all"], line) for line in lines))
            or ("longer" in rule and len(lines) > rule["longer"])
            or count > 0
        )
        if fits:
            status, body = rule["answer"]
            return read_answer(status, body.replace("%n", str(count)))
    return read_answer(204)


def run(batch: list[tuple[int, str]], behind: list[tuple[int, str]], **more: Any) -> Result:
    rules = more.pop("rules")
    delivery = deliver(batch, behind, stored_before=more["stored_before"])
    try:
        lines = next(delivery)
        while True:
            lines = delivery.send(by_rules(rules, lines))
    except StopIteration as end:
        return end.value


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "influx.json", "batches"))
def test_batches(case: dict[str, Any]) -> None:
    batch = list(enumerate(case["lines"], 1))
    behind = list(enumerate(case["behind"], 1001))
    result = run(batch, behind, rules=case["server"], stored_before=case["stored_before"])
    gone = {*result.stored, *result.dropped, *result.set_aside}
    expect = case["expect"]
    assert {
        "state": STATES[result.cls],
        "why": result.why,
        "stored": len(result.stored),
        "dropped": len(result.dropped),
        "set_aside": len(result.set_aside),
        "kept": sum(ident not in gone for ident, _ in batch),
    } == {key: value for key, value in expect.items() if key != "requests"}
    assert result.requests <= expect["requests"]


@given(
    st.lists(st.sampled_from(["a v=1", "b v=1", "bad", "torn", "old"]), min_size=1, max_size=60),
    st.lists(st.sampled_from(["c v=1", "bad2"]), max_size=5),
    st.booleans(),
    st.integers(1, 40),
)
def test_every_point_has_one_fate(
    lines: list[str], behind: list[str], stored_before: bool, longest: int
) -> None:
    rules = [
        {"longer": longest, "answer": [413, ""]},
        {"any": "bad", "answer": [400, "bad line"]},
        {"any": "torn", "answer": [400, "torn line"]},
        {"partial": "old", "answer": [400, '{"error":"partial write: x dropped=%n"}']},
    ]
    batch, others = list(enumerate(lines)), list(enumerate(behind, 1000))
    result = run(batch, others, rules=rules, stored_before=stored_before)
    fates = [*result.stored, *result.dropped, *result.set_aside]
    assert len(fates) == len(set(fates))
    if result.cls is Class.STORED:
        assert {ident for ident, _ in batch} <= set(fates)
    good = {ident for ident, line in batch if " v=" in line}
    assert not good & set(result.dropped) or any(line == "old" for line in lines)


@given(st.integers(100, 599), st.text(max_size=200), st.none() | st.text(max_size=30))
def test_no_answer_makes_it_fall(status: int, body: str, retry_after: str | None) -> None:
    answer = read_answer(
        status, body, retry_after=retry_after, now=datetime(2026, 11, 28, tzinfo=UTC)
    )
    assert answer.wait is None or 0 <= answer.wait <= 3600
    assert answer.why.isprintable()


def test_retry_after_by_date() -> None:
    now = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)
    answer = read_answer(503, "", retry_after="Sat, 28 Nov 2026 20:00:30 GMT", now=now)
    assert answer.wait == 30


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(), Failure.REFUSED),
        (TimeoutError(), Failure.TIMEOUT),
        (socket.gaierror(), Failure.NAME_NOT_FOUND),
        (ssl.SSLCertVerificationError(), Failure.CERTIFICATE),
        (RemoteDisconnected(), Failure.CLOSED),
        (OSError(113, "no route"), Failure.NO_ROUTE),
        (EOFError(), Failure.CLOSED),
    ],
)
def test_failures_by_exception(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure


def test_series() -> None:
    assert series_of(r"m,a=x\ y,b=z v=1 5") == r"m,a=x\ y,b=z"
    assert series_of("m\\") == "m\\"
