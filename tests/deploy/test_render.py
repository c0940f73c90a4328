"""Kustomize and the chart say the same, and the chart refuses what makes no sense."""

import pytest
import yaml
from rendering import CHART, VARIANTS, chart, helm, kustomize, normal


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_render_the_same_objects(variant):
    ours, theirs = normal(kustomize(variant)), normal(chart(variant))
    assert sorted(ours) == sorted(theirs)
    for name in ours:
        assert yaml.safe_dump(ours[name]) == yaml.safe_dump(theirs[name]), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_chart_has_no_lint(variant):
    settings = [argument for value in VARIANTS[variant] for argument in ("--set", value)]
    helm("lint", "--strict", "--quiet", "--kube-version", "1.37", CHART, *settings)


@pytest.mark.parametrize(
    "setting",
    [
        "mode=both",
        "replicas=3",
        "image.tag=latest",
        "models.image=registry.example.com/models",
        "workloads.all.roles={collect,sleep}",
        "terminationGracePeriodSeconds=10",
        "keda.enabled=true",
    ],
)
def test_the_chart_refuses(setting):
    with pytest.raises(AssertionError):
        helm("template", "driftd", CHART, "--kube-version", "1.37", "--set", setting)


def test_what_can_be_left_out_can_be_left_out():
    settings = ["monitoring.enabled=false", "networkPolicy.enabled=false", "image.pullPolicy=Always"]
    text = helm("template", "driftd", CHART, "--kube-version", "1.37", *[a for s in settings for a in ("--set", s)])
    assert "kind: ServiceMonitor" not in text and "kind: NetworkPolicy" not in text
    assert text.count("imagePullPolicy: Always") == 2
