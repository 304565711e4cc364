"""Embedded Postgres, Valkey and object store for the demo and the tests: no Docker, no root."""
