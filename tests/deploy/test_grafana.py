"""Grafana's dashboards: as their source writes them, whole, and about metrics that exist."""

import json
import re
import sys

import pytest
import yaml
from promql import metrics, unknown
from rendering import ROOT, run

FOLDER = ROOT / "dashboards" / "grafana"
FILES = sorted(FOLDER.glob("*.json"))
DASHBOARDS = {file.stem: json.loads(file.read_text()) for file in FILES}
PANELS = [
    pytest.param(dashboard, panel, id=f"{name}-{panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
KINDS = {"prometheus": "${prometheus}", "grafana-postgresql-datasource": "${postgres}"}
# Units of Grafana that are used here.
UNITS = {"none", "short", "s", "percentunit", "reqps", "ops", "sci", "dateTimeAsIso", "dateTimeFromNow"}


def expressions():
    """Every PromQL expression, with the variables that Grafana puts in."""
    for dashboard in DASHBOARDS.values():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                if "expr" in target:
                    yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


def test_they_are_what_their_source_writes(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import build

    written = dict(build.files())
    assert sorted(written) == FILES
    for file, text in written.items():
        assert file.read_text() == text, f"{file.name}: run scripts/deploy-check.sh --write"
    sys.modules.pop("build")


def test_all_four_are_there():
    assert set(DASHBOARDS) == {"fleet", "model", "task", "operations"}
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_whole(name):
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == f"driftd-{name}" and dashboard["title"] == f"driftd / {name}" and dashboard["description"]
    assert dashboard["editable"] is False and dashboard["tags"] == ["driftd"]
    identities = [panel["id"] for panel in dashboard["panels"]]
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(identities)) == len(identities) and len(set(titles)) == len(titles)
    # Whatever is asked for is chosen above, and the other way round.
    offered = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)
    used = set(re.findall(r"\$\{?([a-z]+)\b", text))
    assert used == offered, f"{used ^ offered}"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap(name):
    taken = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_is_whole(dashboard, panel):
    assert panel["title"] and panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    for source in [panel["datasource"], *(target["datasource"] for target in panel["targets"])]:
        assert source["uid"] == KINDS[source["type"]], "its data source is not a variable"
    for target in panel["targets"]:
        if "rawSql" in target:
            assert re.search(r"\bfrom driftd_v1\.", target["rawSql"])
            # A value goes in as a quoted text, or a name with a quote would break out.
            assert not re.search(r"\$(?!__time|\{\w+:sqlstring\})", target["rawSql"])
            assert not re.search(r"\b(from|join) (?!driftd_v1\.|latest|last|worst|\(|a\.at\b)\w", target["rawSql"])
        else:
            assert unknown(target["expr"]) == []
            assert 'job="driftd"' in target["expr"] or "ALERTS{" in target["expr"], "which job?"
    if panel["type"] in ("timeseries", "state-timeline"):
        assert all(target.get("format") in (None, "time_series") for target in panel["targets"])


def test_variables_have_templated_sources():
    for dashboard in DASHBOARDS.values():
        for variable in dashboard["templating"]["list"]:
            assert variable["label"]
            if variable["type"] == "query":
                assert variable["datasource"]["uid"] == KINDS[variable["datasource"]["type"]]


def test_links_lead_to_dashboards():
    found = set(re.findall(r"/d/([a-z-]+)/", json.dumps(DASHBOARDS)))
    assert found == {"driftd-model", "driftd-task"}


def test_prometheus_understands_them(tmp_path):
    rules = [{"record": f"check:{n}", "expr": expression} for n, expression in enumerate(expressions())]
    assert len(rules) >= 35
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run("promtool", "check", "rules", "--lint=none", file)


def test_every_metric_is_shown_or_watched():
    told = " ".join(expressions()) + (ROOT / "deploy/prometheus/rules/driftd.yaml").read_text()
    # How strong the evidence is comes from the store.
    elsewhere = {"driftd_model_evidence_ratio"}
    missing = {name for name in metrics() if not re.search(rf"\b{name}(_bucket)?\b", told)}
    assert missing == elsewhere
