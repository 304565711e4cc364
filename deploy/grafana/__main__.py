"""Writes every dashboard: python -m deploy.grafana, or `make dashboards`.

Owns where they stand. The chart makes a ConfigMap of each.
"""

from pathlib import Path

from deploy.grafana.all import dashboards

FOLDER = Path(__file__).parents[2] / "helm" / "poplar" / "files" / "dashboards"


def main() -> None:
    """Write them, and nothing else."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        (FOLDER / f"{name}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
