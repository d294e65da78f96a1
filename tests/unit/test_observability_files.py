"""The alert rules and the dashboard in deploy/observability, checked by promtool."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.resources import ROOT

FOLDER = ROOT / "deploy" / "observability"
ALERTS, TESTS = FOLDER / "alerts.yml", FOLDER / "alerts_test.yml"
NAMES = re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(encoding="utf-8"), re.MULTILINE)
VARIABLES = {"$__rate_interval": "5m", "$model": "demo"}  # which Grafana replaces

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: run `make programs` as root"
)


def promtool(*arguments: str | Path, folder: Path = FOLDER) -> str:
    """Its output. Fails if the exit code is not 0."""
    run = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def panels() -> list[dict[str, Any]]:
    found = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


@needs_promtool
def test_the_rules_are_valid() -> None:
    assert f"{len(NAMES)} rules found" in promtool("check", "rules", ALERTS)


@needs_promtool
def test_the_alerts_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


@needs_promtool
def test_a_rule_that_never_fires_fails_its_test(tmp_path: Path) -> None:
    rules = ALERTS.read_text(encoding="utf-8")
    (tmp_path / "alerts.yml").write_text(re.sub(r"layerscope_(\w+)", r"other_\1", rules), encoding="utf-8")
    shutil.copy(TESTS, tmp_path)
    run = subprocess.run(
        ["promtool", "test", "rules", TESTS.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode != 0
    of_metrics = [
        name
        for name in NAMES
        if not name.endswith(("Down", "Missing")) or "Redis" in name or "Database" in name
    ]
    assert set(re.findall(r"alertname: ?(\w+)", run.stdout + run.stderr)) == set(of_metrics)


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_tested_while_it_fires_and_while_it_does_not(name: str) -> None:
    (case,) = re.findall(
        rf"^  - name: {name}\n((?:    .*\n)+)", TESTS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert f"alertname: {name}, exp_alerts: []" in case
    assert f"alertname: {name}\n        exp_alerts:\n          - exp_labels:" in case


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_has_a_severity_a_summary_and_a_runbook(name: str) -> None:
    rule = ALERTS.read_text(encoding="utf-8").partition(f"alert: {name}\n")[2].partition("- alert: ")[0]
    for line in ("labels: { severity: (critical|warning) }", "summary: .+", "runbook: .+"):
        assert re.search(line, rule), line


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


@needs_promtool
def test_the_queries_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    for variable, value in VARIABLES.items():
        queries = [query.replace(variable, value) for query in queries]
    assert not any("$" in query for query in queries)
    rules = [{"record": f"query_{i}", "expr": query} for i, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    assert f"{len(queries)} rules found" in promtool("check", "rules", file)


def test_the_panels_of_the_dashboard_do_not_overlap_and_are_described() -> None:
    places = [panel["gridPos"] for panel in panels()]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert all(panel["description"] and panel["title"] for panel in panels())
