"""Every object is one that Kubernetes, the Prometheus operator or KEDA knows, without a stray field."""

import json

import kubernetes_validate
import pytest
from rendering import KUBERNETES, TOOLS, VARIANTS, chart, key, kustomize, run

CUSTOM = ("monitoring.coreos.com/", "keda.sh/")


def objects(variant):
    return kustomize(variant) + chart(variant)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_kubernetes_knows_it(variant, version):
    for thing in objects(variant):
        if not thing["apiVersion"].startswith(CUSTOM):
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                pytest.fail(f"{key(thing)}: {error.message} at {list(error.path)}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_operators_know_it(variant):
    custom = [thing for thing in objects(variant) if thing["apiVersion"].startswith(CUSTOM)]
    assert {thing["kind"] for thing in custom} >= {"ServiceMonitor", "PrometheusRule"}
    run("node", TOOLS / "node" / "validate.mjs", input=json.dumps(custom))
