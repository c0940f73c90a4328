"""What Prometheus can be asked of driftd, read from src/metrics.rs."""

import functools
import re

from rendering import ROOT

# Labels that the scrape adds.
SCRAPED = {"job", "instance", "namespace", "pod", "le"}
# Suffixes of a histogram's series.
HISTOGRAM = ("_bucket", "_sum", "_count")
# Not ours: whether a scrape worked, and what Prometheus says of alerts.
FOREIGN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}


@functools.cache
def metrics():
    """Every metric: its kind and its labels. A metric must be described, and set somewhere."""
    files = [ROOT / "src/metrics.rs", *sorted((ROOT / "src/metrics").glob("*.rs"))]
    text = "\n".join(file.read_text() for file in files)
    described = {name: kind for kind, name in re.findall(r'describe_(counter|gauge|histogram)!\(\s*"(\w+)"', text)}
    found = {}
    for function in re.split(r"\n(?=pub fn |fn )", text):
        if function.startswith("fn describe"):
            continue
        for kind, name, rest in re.findall(r'\b(counter|gauge|histogram)!\("(\w+)"([^;]*);', function):
            labels = set(re.findall(r'"(\w+)" =>', rest.partition(").")[0]))
            if "&labels" in rest:
                labels |= set(re.findall(r'\("(\w+)", [^)]', function.partition("let labels = ")[2].partition(";")[0]))
            found.setdefault(name, (kind, set()))[1].update(labels)
    # Those that are set to zero by a list of names.
    for name in re.findall(r'^\s+"(driftd_\w+)",$', text, re.M):
        found.setdefault(name, ("counter", set()))
    assert {name: kind for name, (kind, _) in found.items()} == described
    return found


def unknown(expression):
    """What an expression asks of driftd that is not there: metrics, and labels of their selectors."""
    known = metrics()
    wrong = []
    expression = re.sub(r"\$\{?\w+(:\w+)?\}?", "variable", expression)
    for name, selector in re.findall(r"\b(driftd_\w+|up|ALERTS)\b(?:\{([^}]*)\})?", expression):
        base = next((name.removesuffix(s) for s in HISTOGRAM if name.removesuffix(s) in known and name not in known), name)
        if base in FOREIGN:
            labels = FOREIGN[base]
        elif base not in known or (known[base][0] == "histogram") != (base != name):
            wrong.append(name)
            continue
        else:
            labels = known[base][1] | SCRAPED
        wrong += [f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector) if label not in labels]
    grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(",")}
    named = [known[n][1] for m in re.findall(r"\bdriftd_\w+", expression) for n in known if m in {n, *(n + s for s in HISTOGRAM)}]
    return wrong + [f"by ({label})" for label in grouped - SCRAPED - set().union(*named, set()) if named]
