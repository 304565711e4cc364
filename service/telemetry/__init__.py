"""What Poplar shows of itself: metrics, logs, traces, health.

Owns their names, labels and forms. Refuses passwords, tokens and message text (G17), and labels whose values
grow with users or tenants.
"""
