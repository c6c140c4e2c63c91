"""
Black and white images of digits: a Bernoulli mixture
=====================================================

The data are 1797 images of handwritten digits, with 8 by 8 pixels that are black or white. In a Bernoulli mixture every
component has a probability of black for each pixel. Drawn as pictures, these probabilities show the average digit of
each component. The mixture finds them without the labels.

The digits come with scikit-learn (E. Alpaydin and C. Kaynak, 1998, Optical Recognition of Handwritten Digits, UCI
Machine Learning Repository, CC BY 4.0).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from fastem import BernoulliMixture

digits = load_digits()
black = (digits.data > 7).astype(float)
model = BernoulliMixture(12, n_init=10, prior=2, max_iter=500, random_state=0).fit(black)
labels = model.predict(black)
print("adjusted Rand index of clusters and digits:", round(adjusted_rand_score(digits.target, labels), 2))

# %%
# Some digits that people write in more than one way have two components.

figure, panels = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for k, axes in enumerate(panels.flat):
    axes.imshow(model.probabilities_[k].reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
    counts = np.bincount(digits.target[labels == k], minlength=10)
    axes.set_title(f"{counts.max() / counts.sum():.0%} are a {counts.argmax()}", fontsize=9)
    axes.set_axis_off()

# %%
# New digits
# ----------
#
# `sample` draws new digits from the mixture. Pixels are independent within a component, so these digits have ragged
# outlines.

drawn, _ = model.sample(12)
figure, panels = plt.subplots(1, 12, figsize=(9, 1), layout="constrained")
for pixels, axes in zip(drawn, panels, strict=True):
    axes.imshow(pixels.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
    axes.set_axis_off()
