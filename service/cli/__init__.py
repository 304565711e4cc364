"""The `poplar` command: parses arguments, calls `app`, prints for people.

Owns words, tables and exit codes. Refuses to know how anything is done, and to import what a command
doesn't need before it is called.
"""
