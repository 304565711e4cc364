"""One vendor each, implementing the ports of `mail/ports.py`. No store calls another."""
