"""Compiled code over tiles. It knows no family."""
