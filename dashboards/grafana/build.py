"""Writes Grafana's dashboards: `scripts/deploy-check.sh --write`. A test compares them with what is committed."""

import json
from pathlib import Path

from models import fleet, model, task
from operations import operations


def files():
    """Every dashboard's file and its text."""
    for dashboard in (fleet(), model(), task(), operations()):
        name = dashboard["uid"].removeprefix("driftd-")
        yield Path(__file__).parent / f"{name}.json", json.dumps(dashboard, indent=1) + "\n"


if __name__ == "__main__":
    for file, text in files():
        file.write_text(text)
