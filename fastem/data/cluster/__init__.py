"""Data of a cluster: collections of Dask, whose rows are read by the workers that hold them."""
