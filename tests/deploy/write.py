"""Copies Prometheus' rules to where Kustomize and Helm can read them: neither looks outside its folder."""

import shutil
import sys

from rendering import CHART, DEPLOY, ROOT, RULES

if not RULES.exists():
    sys.exit(f"deploy-check: there is no {RULES.relative_to(ROOT)} to copy")
shutil.copyfile(RULES, CHART / "files" / "rules.yaml")
resource = DEPLOY / "kustomize" / "components" / "monitoring" / "prometheus-rule.yaml"
head = resource.read_text().partition("spec:\n")[0]
body = "".join(f"  {line}".rstrip() + "\n" for line in RULES.read_text().splitlines())
resource.write_text(f"{head}spec:\n{body}")
print(f"deploy-check: the rules are copied to {resource.relative_to(ROOT)} and the chart")
