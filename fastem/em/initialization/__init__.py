"""Where fits start from: k-means, responsibilities, and the mixtures that they give."""
