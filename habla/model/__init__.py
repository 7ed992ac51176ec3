"""Frozen values that every room shares: roles, ports, logs, units, files, host states, service settings."""
