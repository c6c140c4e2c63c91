"""What runs a pass: compiled code by family, threads, tiles and slabs."""
