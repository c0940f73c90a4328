"""Renders every variant, by Kustomize and by Helm, once."""

import functools
import os
import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".deps" / "deploy"
CHART = DEPLOY / "helm" / "driftd"
RULES = DEPLOY / "prometheus" / "rules" / "driftd.yaml"

# An overlay of Kustomize and the values by which the chart says the same.
VARIANTS = {
    "single": [],
    "split": ["mode=split"],
    "split-gpu": ["mode=split", "gpu.enabled=true"],
    "keda": ["mode=split", "keda.enabled=true"],
}
KUBERNETES = ["1.28", "1.32", "1.37"]


def run(*command, **options):
    """Runs a command and gives its output; what it complained of is the failure's text."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@functools.cache
def kustomize(variant):
    """The objects of an overlay."""
    text = run("kubectl", "kustomize", DEPLOY / "kustomize" / "overlays" / variant)
    return list(yaml.safe_load_all(text))


def helm(*arguments):
    """Helm without a configuration, a cache or a cluster of this machine."""
    home = TOOLS / "helm-home"
    places = {f"HELM_{name}_HOME": str(home) for name in ("CACHE", "CONFIG", "DATA")}
    return run("helm", *arguments, env=os.environ | places | {"KUBECONFIG": os.devnull})


@functools.cache
def chart(variant):
    """The objects of the chart, its test among them."""
    settings = [argument for value in VARIANTS[variant] for argument in ("--set", value)]
    text = helm("template", "driftd", CHART, "--namespace", "driftd", "--kube-version", "1.37", *settings)
    return [thing for thing in yaml.safe_load_all(text) if thing]


def is_hook(thing):
    """Whether Helm makes it only when asked."""
    return "helm.sh/hook" in thing["metadata"].get("annotations", {})


def key(thing):
    """What names an object."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def pods(things):
    """The names and specifications of all pods."""
    for thing in things:
        if thing["kind"] == "Pod":
            yield key(thing), thing["spec"]
        elif "template" in thing.get("spec", {}):
            yield key(thing), thing["spec"]["template"]["spec"]


def containers(pod):
    """All containers of a pod."""
    return pod.get("initContainers", []) + pod["containers"]


def normal(things):
    """The objects without what only one of the two tools adds, by name."""
    text = yaml.safe_dump([thing for thing in things if not is_hook(thing)])
    # Kustomize names a ConfigMap by its content; the chart notes the content in an annotation.
    text = re.sub(r"\bdriftd-config-[a-z0-9]{10}\b", "driftd-config", text)
    named = {}
    for thing in yaml.safe_load(text):
        metadata = thing["metadata"]
        for label in ("app.kubernetes.io/managed-by", "helm.sh/chart"):
            metadata.get("labels", {}).pop(label, None)
        if thing["kind"] == "Deployment":
            thing["spec"]["template"]["metadata"]["annotations"].pop("checksum/config", None)
        if thing["kind"] == "ConfigMap":
            thing["data"] = {name: yaml.safe_load(content) for name, content in thing["data"].items()}
        named[key(thing)] = thing
    return named
