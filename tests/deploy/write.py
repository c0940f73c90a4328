"""Copies Prometheus' rules to where Kustomize and Helm can read them (neither looks outside its folder), and
writes Grafana's dashboards."""

import runpy
import shutil
import sys

from rendering import CHART, DEPLOY, ROOT, RULES

shutil.copyfile(RULES, CHART / "files" / "rules.yaml")
resource = DEPLOY / "kustomize" / "components" / "monitoring" / "prometheus-rule.yaml"
head = resource.read_text().partition("spec:\n")[0]
body = "".join(f"  {line}".rstrip() + "\n" for line in RULES.read_text().splitlines())
resource.write_text(f"{head}spec:\n{body}")
print(f"deploy-check: the rules are copied to {resource.relative_to(ROOT)} and the chart")

source = ROOT / "dashboards" / "grafana"
sys.path.insert(0, str(source))
runpy.run_path(str(source / "build.py"), run_name="__main__")
print(f"deploy-check: the dashboards are written to {source.relative_to(ROOT)}")
