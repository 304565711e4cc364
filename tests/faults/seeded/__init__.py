"""Poplar with a defect put in, one at a time: each must show in a history, and the checker must see it.

`python -m tests.faults.seeded` lists them; with a name it runs one and says what the checker found. The defects are
replacements of methods and functions of the service while a scenario runs; nothing in `service/` knows of them.
"""
