"""What the demo and the tests run beside Poplar: Postgres and Valkey from wheels, without Docker or root.

Owns these servers, the demo's folder, certificate and letters. Refuses to know Poplar's settings and stores:
`app/demo.py` brings both together.
"""
