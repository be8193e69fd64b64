"""What Prometheus and Grafana are told, held against the metrics that there are."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import promql_parser as promql
import pytest
import yaml

from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import METRICS, registry_of
from tests.deploy.compose import ROOT, read
from tests.deploy.test_compose import DOTENV
from tests.reporting import hand_made

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/estate.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PROVISIONING = ROOT / "deploy/grafana/provisioning"
RULES = ROOT / "deploy/prometheus/reelkeeper_rules.yml"
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())


def series() -> Iterator[tuple[str, set[str]]]:
    """Every series that our exposition may have, and its labels; and the one that Prometheus makes of each scrape."""
    yield "up", {"job", "instance"}
    for metric in METRICS:
        labels = {*metric.labels, "job", "instance"}
        if metric.kind == "histogram":
            yield f"{metric.name}_bucket", labels | {"le"}
            yield f"{metric.name}_sum", labels
            yield f"{metric.name}_count", labels
        else:
            yield metric.name, labels


KNOWN = dict(series())


def selectors(expression: str) -> list[promql.VectorSelector]:
    """What an expression reads. ValueError when it does not parse."""
    found: list[promql.VectorSelector] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(expression), visit)
    return found


def groupings(expression: str) -> list[tuple[set[str], set[str]]]:
    """For each aggregation: the labels that it goes by, and the series that it reads."""
    found: list[tuple[set[str], set[str]]] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            read_there = {selector.name for selector in selectors(node.prettify())}
            found.append((set(node.modifier.labels), read_there))

    promql.walk(promql.parse(expression), visit)
    return found


def ranges(expression: str) -> list[promql.VectorSelector]:
    """What an expression takes an increase or a rate of."""
    found: list[promql.VectorSelector] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(promql.parse(expression), visit)
    return found


def expressions() -> Iterator[Any]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"panel: {panel['title']}")
    if RULES.exists():
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            for rule in group["rules"]:
                yield pytest.param(rule["expr"], id=f"rule: {rule.get('alert') or rule['record']}")


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_reads_series_and_labels_that_exist(expression: str) -> None:
    for selector in selectors(expression):
        assert selector.name in KNOWN, selector.name
        assert {matcher.name for matcher in selector.matchers.matchers} <= KNOWN[selector.name], selector
    for labels, names in groupings(expression):
        assert all(labels <= KNOWN[name] for name in names), (labels, names)


@pytest.mark.parametrize("expression", [one for one in expressions() if "[" in one.values[0]])
def test_what_has_an_increase_is_there_before_it(expression: str) -> None:
    """Prometheus takes a series that begins with a count for one that has always had it: the first events are lost."""
    nothing = {"transfers": (), "retrievals": (), "deletions": (), "exports": ()}
    now = hand_made.taken()
    new = replace(now, figures=replace(now.figures, **nothing))
    samples = [sample for family in registry_of(new, Limits()).collect() for sample in family.samples]
    for selector in ranges(expression):
        alike = [
            sample.labels
            for sample in samples
            if sample.name == selector.name and all(map(partial(_matches, sample.labels), selector.matchers.matchers))
        ]
        stores = {labels["store"] for labels in alike if "store" in labels}
        assert alike, selector
        assert stores == ({store.name for store in now.figures.stores} if "store" in KNOWN[selector.name] else set())


def _matches(labels: dict[str, str], matcher: Any) -> bool:
    if matcher.op == promql.MatchOp.Re:
        return re.fullmatch(matcher.value, labels[matcher.name]) is not None
    assert matcher.op == promql.MatchOp.Equal
    return bool(labels[matcher.name] == matcher.value)


def test_an_expression_of_something_else_would_be_noticed() -> None:
    [selector] = selectors('sum by (store) (rate(reelkeeper_nothing{store="a"}[5m]))')
    assert selector.name not in KNOWN
    assert groupings("sum by (bucket) (up)") == [({"bucket"}, {"up"})]


def test_legends_name_labels_that_the_result_has() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            by = groupings(target["expr"])
            kept = by[0][0] if by else set().union(*(KNOWN[selector.name] for selector in selectors(target["expr"])))
            assert named <= kept, (panel["title"], target["legendFormat"])


def test_what_nobody_knows_is_not_shown_as_none() -> None:
    """Where there is no series, there is no zero either, and nothing is green."""
    for panel in PANELS:
        assert not [target["expr"] for target in panel["targets"] if "vector(" in target["expr"]], panel["title"]


def test_what_did_not_happen_has_no_share_and_no_quantile() -> None:
    """Zero by zero is no number: a store to which nobody uploads would be in every legend with it."""
    shares = [target["expr"] for panel in PANELS for target in panel["targets"]
              if re.search("histogram_quantile| / ", target["expr"])]  # fmt: skip
    assert shares
    assert [one for one in shares if not one.endswith(" >= 0")] == []  # which no NaN is


def test_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] for panel in PANELS)


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    services = read(DOTENV)["services"]
    [source] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    used = {panel["datasource"]["uid"] for panel in PANELS}
    used |= {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert used == {source["uid"]}
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0].rpartition(':')[2]}"
    [provider] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/reelkeeper.yaml").read_text())[
        "providers"
    ]
    folder = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in services["grafana"]["volumes"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/estate.json"


def test_prometheus_reads_what_airflow_serves() -> None:
    services = read(DOTENV)["services"]
    [job] = [job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "reelkeeper"]
    port = services["api-server"]["environment"]["AIRFLOW__API__PORT"]
    assert job["static_configs"] == [{"targets": [f"api-server:{port}"]}]
    [secret] = services["prometheus"]["secrets"]
    assert job["authorization"] == {"type": "Bearer", "credentials_file": f"/run/secrets/{secret}"}
    assert "./deploy/prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
