"""Mixture models: what all have in common, and a public face a file."""
