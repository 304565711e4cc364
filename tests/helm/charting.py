"""The chart as Helm renders it: objects to look at, and refusals.

Owns how Helm is called, and that the same question is asked once in a test process. Values are given as Python's.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.helm.programs import ROOT, helm

CHART = ROOT / "helm" / "poplar"
EXAMPLES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*.yaml"))}
KUBES = [f"1.{minor}" for minor in range(30, 38)]
NEWEST = KUBES[-1]
Object = dict[str, Any]


class ChartError(Exception):
    """Helm refused; the text is what it said."""


def values_of(example: str) -> dict[str, Any]:
    """The values of an example in `ci/`."""
    return dict(yaml.safe_load(EXAMPLES[example].read_text("utf-8")))


LEAST = values_of("default")


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with `above` over it, as Helm merges values."""
    result = dict(below)
    for key, value in above.items():
        beneath = result.get(key)
        nested = isinstance(value, Mapping) and isinstance(beneath, Mapping)
        result[key] = merged(beneath, value) if nested else value  # type: ignore[arg-type]
    return result


def at(path: str, value: Any) -> dict[str, Any]:
    """Values that say only this: `at("drain.marginSeconds", 30)`."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


class Rendered:
    """The objects of one rendering."""

    def __init__(self, objects: list[Object]) -> None:
        self.objects = objects

    def __iter__(self) -> Iterator[Object]:
        return iter(self.objects)

    def of(self, kind: str) -> dict[str, Object]:
        """The objects of a kind, by name."""
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def one(self, kind: str, name: str = "") -> Object:
        """The object of this kind and name, `r-poplar` and a suffix."""
        return self.of(kind)[f"r-poplar{name}"]

    def settings(self) -> dict[str, Any]:
        """Poplar's settings file."""
        return dict(yaml.safe_load(self.one("ConfigMap")["data"]["poplar.yaml"]))

    def pods(self) -> dict[str, Object]:
        """Every pod or template of one, by the kind and name of what holds it."""
        return {f"{each['kind']} {each['metadata']['name']}": pod for each in self for pod in [pod_of(each)] if pod}


def pod_of(each: Object) -> Object | None:
    """The pod that this object is or makes: its metadata and spec."""
    if each["kind"] == "Pod":
        return each
    if each["kind"] == "CronJob":
        return dict(each["spec"]["jobTemplate"]["spec"]["template"])
    return dict(each["spec"]["template"]) if each["kind"] in {"Deployment", "Job"} else None


def render(values: Mapping[str, Any] = LEAST, *, kube: str = NEWEST, major: str = "4") -> Rendered:
    """What release `r` in namespace `mail` would be. Raises ChartError."""
    text = _template(json.dumps(values, sort_keys=True), kube, major)
    return Rendered([each for each in yaml.load_all(text, yaml.CSafeLoader) if each])


def least(**more: Any) -> Rendered:
    """What the least values and these give."""
    return render(merged(LEAST, more))


@cache
def _template(values: str, kube: str, major: str) -> str:
    return run(
        major, "template", "r", str(CHART), "--namespace=mail", f"--kube-version={kube}", "--values=-", told=values
    )


def run(major: str, *arguments: str, told: str = "") -> str:
    """What Helm says. Raises ChartError."""
    done = subprocess.run(
        [helm(major), *arguments], input=told, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise ChartError(done.stderr + done.stdout)
    return done.stdout


def refusal(values: Mapping[str, Any], major: str = "4") -> str:
    """What Helm says against these values; the empty text if nothing."""
    try:
        render(values, major=major)
    except ChartError as error:
        return str(error)
    return ""


def package(chart: Path, folder: Path, major: str = "4") -> bytes:
    """The chart as a package."""
    folder.mkdir()
    run(major, "package", str(chart), f"--destination={folder}")
    return next(folder.glob("*.tgz")).read_bytes()
