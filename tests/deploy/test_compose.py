"""The laptop's compose file: valid, whole, and reachable from this machine alone."""

import json
import re

import jsonschema
import yaml
from rendering import DEPLOY, ROOT, TOOLS, run

FOLDER = DEPLOY / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def mounts():
    """What is mounted from the repository, with where it is seen."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                yield name, (FOLDER / source).resolve(), target


def test_the_schema_of_compose_knows_it():
    schema = json.loads((TOOLS / "node/node_modules/dclint/schemas/compose.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_what_it_names_is_there():
    found = list(mounts())
    assert len(found) >= 10
    for name, source, _ in found:
        assert source.exists() and source.is_relative_to(ROOT), f"{name} mounts {source}"
    for name, service in SERVICES.items():
        for other, how in (service.get("depends_on") or {}).items() if isinstance(service.get("depends_on"), dict) else ():
            assert other in SERVICES, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert other == "driftd" or "healthcheck" in SERVICES[other], f"{other} has no health"
        build = service.get("build")
        if build:
            assert (FOLDER / build["context"] / build["dockerfile"]).exists()
            assert re.search(rf"^FROM .* AS {build['target']}$", (FOLDER / build["context"] / build["dockerfile"]).read_text(), re.M)


def test_it_is_pinned_and_closed():
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.?\d*", service["image"]), f"{name}: {service['image']}"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    for name in ("learn", "driftd", "traffic"):
        service = SERVICES[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name


def test_all_six_are_there():
    assert {"kafka", "postgres", "grafana", "prometheus", "alertmanager", "driftd"} <= set(SERVICES)


def test_its_configuration_is_one():
    schema = json.loads((ROOT / "docs/config.schema.json").read_text())
    configuration = yaml.safe_load((FOLDER / "driftd.yaml").read_text())
    jsonschema.Draft202012Validator(schema).validate(configuration)
    topics = SERVICES["topics"]["command"][0]
    for topic in configuration["kafka"]["topics"]:
        assert topic in topics and f"--topic={topic}" in SERVICES["traffic"]["command"]
    assert configuration["models"][0]["manifest"] in SERVICES["learn"].get("environment", {}).get(
        "MANIFEST", (FOLDER / "learn.sh").read_text()
    )


def test_alertmanager_and_prometheus_take_their_files():
    run("amtool", "check-config", FOLDER / "alertmanager.yml")
    configuration = DEPLOY / "prometheus" / "prometheus.yml"
    run("promtool", "check", "config", configuration)
    told = yaml.safe_load(configuration.read_text())
    targets = [
        target
        for job in told["scrape_configs"] + told["alerting"]["alertmanagers"]
        for group in job["static_configs"]
        for target in group["targets"]
    ]
    assert {target.partition(":")[0] for target in targets} <= set(SERVICES)


def test_grafana_finds_its_sources_and_dashboards():
    provisioning = DEPLOY / "grafana" / "provisioning"
    seen = {target: source for name, source, target in mounts() if name == "grafana"}
    assert seen["/etc/grafana/provisioning"] == provisioning
    for file in (provisioning / "dashboards").glob("*.yaml"):
        for provider in yaml.safe_load(file.read_text())["providers"]:
            assert list(seen[provider["options"]["path"]].glob("*.json"))
    sources = [s for f in (provisioning / "datasources").glob("*.yaml") for s in yaml.safe_load(f.read_text())["datasources"]]
    assert {source["type"] for source in sources} == {"prometheus", "grafana-postgresql-datasource"}
    for source in sources:
        host = re.sub(r"^\w+://", "", source["url"]).partition(":")[0]
        assert host in SERVICES, source["url"]


def test_the_scripts_have_no_error():
    run("bash", "-n", FOLDER / "learn.sh")
