"""Poplar: a multi-tenant POP3 service for hosting providers."""
