"""What is declared to be, beside what there is: the difference, and making it so.

Owns the rule of what is left alone, the order of steps, and one transaction a tenant. Refuses to know where a
declaration was written (`cli/applying` reads files) and where rows are kept.
"""
