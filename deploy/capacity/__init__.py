"""How much of everything an installation of Poplar needs: `make capacity`, and what it is made of.

`measured.toml` has what was measured, when and how; `prices.toml` what object stores ask. Owns the way from those and a
provider's own numbers to pods, cores, memory, rows, commands and requests. Needs nothing but Python.
"""
