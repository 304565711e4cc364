"""What differs between two renderings, field by field, in words short enough for a table.

A field is `Deployment/-pop3 spec.replicas`; members of lists go by their names where they have them. Owns those words:
the settings file counts as fields of its ConfigMap, and the pods' checksum of it as no field.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.helm.charting import Object, Rendered, pod_of

GONE = "(gone)"
POD = {"Pod": "", "Deployment": "spec.template.", "Job": "spec.template.", "CronJob": "spec.jobTemplate.spec.template."}


def differences(before: Rendered, after: Rendered) -> dict[str, Any]:
    """Each field that differs, with what it is now; whole objects as `+Kind/name` and `-Kind/name`."""
    old, new = ({name_of(each): each for each in rendered} for rendered in (before, after))
    found: dict[str, Any] = {f"-{name}": GONE for name in old.keys() - new.keys()}
    found |= {f"+{name}": new[name].get("spec") for name in new.keys() - old.keys()}
    for name in old.keys() & new.keys():
        was, now = dict(_fields(old[name])), dict(_fields(new[name]))
        for path in was.keys() | now.keys():
            if was.get(path, GONE) != now.get(path, GONE):
                found[f"{name} {path}"] = now.get(path, GONE)
    return found


def name_of(each: Object) -> str:
    return f"{each['kind']}/{each['metadata']['name'].removeprefix('r-poplar')}"


def _fields(each: Object) -> Iterator[tuple[str, Any]]:
    if each["kind"] == "ConfigMap" and "poplar.yaml" in each["data"]:
        settings = yaml.load(each["data"]["poplar.yaml"], yaml.CSafeLoader)
        yield from _flat({"metadata": each["metadata"], "settings": settings}, "")
        return
    pod = pod_of(each)
    if pod is not None:
        pod["metadata"].get("annotations", {}).pop("checksum/config", None)
    yield from _flat(each, "")


def _flat(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and (value or place.endswith(".annotations")):
        for key, below in value.items():
            yield from _flat(below, f"{place}.{key}".removeprefix("."))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            named = item.get("name", number) if isinstance(item, Mapping) else number
            yield from _flat(item, f"{place}[{named}]")
    else:
        yield place, value


def in_settings(path: str, value: Any) -> dict[str, Any]:
    """The field of both settings files: the release's and the migration's."""
    return {f"ConfigMap/{suffix} settings.{path}": value for suffix in ("", "-migration")}


def in_pods(rendered: Rendered, path: str, value: Any, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The field of every pod, but of those that what is named here makes."""
    makers = [each for each in rendered if each["kind"] in POD and name_of(each) not in but]
    return {f"{name_of(each)} {POD[each['kind']]}{path}": value for each in makers}
