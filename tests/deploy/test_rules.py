"""Prometheus' rules: valid, tested in both directions, about metrics that exist, each with its runbook."""

import re

import pytest
import yaml
from promql import metrics, unknown
from rendering import DEPLOY, ROOT, RULES, run

TESTS = DEPLOY / "prometheus" / "tests" / "driftd.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in ALERTS]


def test_promtool_takes_the_rules():
    assert f"{len(ALERTS)} rules found" in run("promtool", "check", "rules", RULES)


def test_promtool_finds_them_to_fire_when_they_should():
    run("promtool", "test", "rules", TESTS)


def test_the_metrics_are_read():
    found = metrics()
    assert found["driftd_records_total"] == ("counter", {"outcome"})
    assert found["driftd_kafka_consumer_lag_messages"] == ("gauge", {"topic", "partition"})
    assert found["driftd_transaction_duration_seconds"] == ("histogram", {"name"})
    assert unknown('rate(driftd_nothing_total[5m]) / driftd_records_total{colour="red"}') == [
        "driftd_nothing_total",
        "driftd_records_total{colour}",
    ]
    assert unknown("sum by (part) (driftd_ready)") == ["by (part)"]
    assert unknown("driftd_flush_duration_seconds > 3") == ["driftd_flush_duration_seconds"]


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_a_rule_is_whole(rule):
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert unknown(rule["expr"]) == []
    assert re.fullmatch(r"Driftd[A-Za-z]+", rule["alert"])
    assert {"summary", "description", "runbook"} == set(rule["annotations"])
    runbook = (ROOT / rule["annotations"]["runbook"]).read_text()
    assert f"(`{rule['alert']}`)" in runbook.partition("\n")[0]
    for part in ("**What it means.**", "**Look at**", "**Do", "**It is over**"):
        assert part in runbook, part


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name):
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name}
    assert fires == {True, False}


def test_every_runbook_belongs_to_a_rule():
    linked = {rule["annotations"]["runbook"] for rule in ALERTS}
    assert len(linked) == len(ALERTS)
    assert {str(file.relative_to(ROOT)) for file in RUNBOOKS.glob("*.md") if file.name != "README.md"} == linked


def test_runbooks_lead_somewhere():
    for file in RUNBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name} leads to {target}"
