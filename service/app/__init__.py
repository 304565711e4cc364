"""The composition root: the only place that knows every name.

`running.running(settings, roles)` runs listeners and the ops HTTP in this event loop, `processes` what each command
runs until a signal, `provisioning.provisioning(settings, actor)` what staff's commands use.
Owns which part gets which. Refuses to hold any rule of its own. Imports nothing here, so that each command starts fast.
"""
