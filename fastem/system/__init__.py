"""Atomic writes of files, claims on them, and signals that arrive meanwhile."""
