"""The composition root: the only place that knows every name.

`running(settings, roles)` runs listeners and the ops HTTP in this event loop; `run_front_end`, `run_lmtp` and
`run_sweep` run until a signal; `provisioning(settings)` is what staff's commands use.
Owns which part gets which. Refuses to hold any rule of its own.
"""

from service.app.running import Role, Running, running

__all__ = ["Role", "Running", "running"]
