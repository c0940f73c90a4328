"""What the daemon needs of its surroundings, checked against its own source."""

import json
import re

import jsonschema
import yaml
from rendering import ROOT, RULES, VARIANTS, chart, containers, is_hook, key, kustomize, pods

BOTH = [(tool, variant) for variant in VARIANTS for tool in (kustomize, chart)]
SECRETS = "/run/secrets/driftd/"
# `driftd-secrets`, as docs/kubernetes.md makes it.
SECRET_KEYS = {"store-url", "kafka-username", "kafka-password", "webhook-url", "webhook-secret"}


def every(kind):
    for tool, variant in BOTH:
        yield from (thing for thing in tool(variant) if thing["kind"] == kind)


def seconds(file, constant):
    """A duration that the source names."""
    text = (ROOT / file).read_text()
    found = re.search(rf"const {constant}: Duration = Duration::from_(secs|millis)\(([\d_]+)\);", text)
    assert found, f"{file} has no duration {constant}"
    return int(found[2].replace("_", "")) / (1 if found[1] == "secs" else 1000)


def test_a_pod_is_given_longer_than_a_stop_takes():
    # The loops drain; the store's pool waits for a last answer; traces have the exporter's five seconds.
    drain = seconds("src/app/run.rs", "DRAIN") + seconds("src/app/run.rs", "LAST_CALL")
    stop = drain + seconds("src/store/mod.rs", "PATIENCE") + 5
    for thing in every("Deployment"):
        pod = thing["spec"]["template"]["spec"]
        hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert hook[0] == "sleep"
        assert int(hook[1]) + stop < pod["terminationGracePeriodSeconds"], key(thing)


def test_the_probe_is_more_patient_than_its_answer():
    patience = seconds("src/api/ops.rs", "PATIENCE")
    for thing in every("Deployment"):
        assert thing["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["timeoutSeconds"] > patience


def test_images_are_pinned():
    for tool, variant in BOTH:
        for name, pod in pods(tool(variant)):
            for container in containers(pod):
                tag = container["image"].rpartition(":")[2]
                assert re.search(r"\d", tag) and "/" not in tag, f"{name}: {container['image']}"


def configurations():
    for thing in every("ConfigMap"):
        yield yaml.safe_load(thing["data"]["driftd.yaml"])


def test_the_configuration_is_one():
    schema = json.loads((ROOT / "docs/config.schema.json").read_text())
    for configuration in configurations():
        jsonschema.Draft202012Validator(schema).validate(configuration)


def references(value):
    """Every place of a secret in the configuration."""
    if isinstance(value, dict):
        if set(value) <= {"file", "env"}:
            yield value
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_secrets_are_files_of_the_secret():
    assert not list(every("Secret"))
    for configuration in configurations():
        used = {reference["file"] for reference in references(configuration)}
        assert used == {SECRETS + name for name in SECRET_KEYS}
        properties = configuration["kafka"]["properties"]
        assert isinstance(properties["sasl.password"], dict) and isinstance(configuration["store"]["url"], dict)


def test_pods_are_restricted():
    for tool, variant in BOTH:
        for name, pod in pods(tool(variant)):
            assert pod["automountServiceAccountToken"] is False, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            for container in containers(pod):
                security = container["securityContext"]
                assert security["readOnlyRootFilesystem"] and security["runAsNonRoot"], name
                assert not security["allowPrivilegeEscalation"] and security["capabilities"] == {"drop": ["ALL"]}, name
                assert container["resources"]["requests"] and container["resources"]["limits"]["memory"], name


def test_every_role_runs_once():
    for tool, variant in BOTH:
        roles = []
        for thing in tool(variant):
            if thing["kind"] == "Deployment":
                own = thing["spec"]["template"]["spec"]["containers"][0]["args"][1].removeprefix("--roles=").split(",")
                labels = thing["spec"]["template"]["metadata"]["labels"]
                told = {label.removeprefix("driftd/") for label in labels if label.startswith("driftd/")}
                assert told == set(own) - {"judge"}
                roles += own
        assert sorted(roles) == ["api", "collect", "deliver", "judge"]


def matches(selector, labels):
    return selector.items() <= labels.items()


def test_selectors_find_pods():
    for tool, variant in BOTH:
        things = [thing for thing in tool(variant) if not is_hook(thing)]
        labels = [t["spec"]["template"]["metadata"]["labels"] for t in things if t["kind"] == "Deployment"]
        ports = {p["name"] for _, pod in pods(things) for p in pod["containers"][0]["ports"]}
        for thing in things:
            match thing["kind"]:
                case "Service":
                    selector = thing["spec"]["selector"]
                    assert all(port["targetPort"] in ports for port in thing["spec"]["ports"])
                case "NetworkPolicy":
                    selector = thing["spec"]["podSelector"]["matchLabels"]
                case "PodDisruptionBudget" | "Deployment":
                    selector = thing["spec"]["selector"]["matchLabels"]
                    assert sum(matches(selector, found) for found in labels) == 1, key(thing)
                case _:
                    continue
            assert any(matches(selector, found) for found in labels), key(thing)


def test_rules_are_those_of_prometheus():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    assert groups
    for thing in every("PrometheusRule"):
        assert thing["spec"]["groups"] == groups, "run scripts/deploy-check.sh --write"
