"""`poplar apply`: declarations in YAML files, the difference shown, then made so.

Owns the form of such a file and where in it a mistake stands. Refuses to know how anything is compared or done
(`mail/declared`).
"""
