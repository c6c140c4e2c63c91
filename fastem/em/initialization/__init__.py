"""Starts of fits: k-means, responsibilities, and the mixtures made from them."""
