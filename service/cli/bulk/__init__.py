"""`poplar maildrop import-csv`: a list of maildrops, with a progress bar and a report of bad lines.

Owns the form of such a list and what is shown. Refuses to know how anything is kept (`mail/bulk.py`).
"""
