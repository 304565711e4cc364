"""The `poplar` command: parses arguments, calls `app`, prints for people."""
