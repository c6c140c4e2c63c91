"""Compiled code over tiles, which does not depend on any family."""
