"""Runs passes: compiled code of each family, threads, tiles and slabs."""
