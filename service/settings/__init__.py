"""Everything that can be configured: the environment and one YAML file become one frozen `Settings`.

`POPLAR_DATABASE__URL` sets `database.url`, and the environment wins over the file. Owns names,
meanings, defaults and bounds. Refuses to know what uses them: `app` alone hands each part on.
"""

from service.settings.errors import SettingsError
from service.settings.explaining import Explained, explain
from service.settings.loading import Sources, load, load_settings
from service.settings.schema import Settings

__all__ = ["Explained", "Settings", "SettingsError", "Sources", "explain", "load", "load_settings"]
