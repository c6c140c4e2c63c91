"""Data of a cluster: collections of Dask, whose rows are read where they are."""
