"""Poplar's settings as a pod of the chart would load them: its ConfigMap and its environment.

Owns that every secret is a plausible text of its kind. Refuses to start anything.
"""

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from service.settings import Settings, load_settings
from tests.helm.charting import Rendered

SECRETS = {"URL": "postgresql://a:b@db/poplar", "REDIS__URL": "redis://cache:6379/0", "__OUTSIDE": "[]"}
SECRET = "a secret text that is long enough for all"


def load_like(pod: dict[str, Any], rendered: Rendered) -> Settings:
    """What the pod's `poplar` would load. Raises SettingsError."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
    text = rendered.of("ConfigMap")[maps["config"]]["data"]["poplar.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "poplar.yaml"
        path.write_text(text, "utf-8")
        with mock.patch.dict(os.environ, environment(container), clear=True):
            return load_settings(path)


def environment(container: dict[str, Any]) -> dict[str, str]:
    """The container's variables, with made-up secrets."""
    return {each["name"]: each.get("value") or _secret(each["name"]) for each in container.get("env", [])}


def _secret(name: str) -> str:
    return next((text for end, text in reversed(SECRETS.items()) if name.endswith(end)), SECRET)
