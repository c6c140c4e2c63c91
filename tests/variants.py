"""What random combinations are made of that decides which code is compiled for them."""

import itertools
import random
from typing import NamedTuple

from reference import FAMILIES

N_VARIANTS = 64
PER_VARIANT = 20  # combinations at least: what those of a variant have in common takes seconds to compile
CHOICES = (
    ("float64", "float64", "float32"),
    ("C", "F", "strided", "source", "source", "memmap"),
    ("soft", "soft", "soft", "hard", "marks"),
    (False, False, True),
    ("complete", "complete", "missing", "errors"),
    (False, False, True),
)


class Variant(NamedTuple):
    family: str
    dtype: str
    layout: str  # of an array, or what else holds the rows
    posterior: str
    labelled: bool
    seen: str
    background: bool


def _variants():
    """Some of all variants, the families in turn; this seed has something of everything among the first few."""
    rng, found = random.Random(1115), {}
    for family in itertools.cycle(FAMILIES):
        variant = Variant(family, *map(rng.choice, CHOICES))
        impossible = family == "poisson" and (variant.seen == "errors" or variant.background)
        if not impossible and not (variant.posterior == "marks" and variant.layout == "source"):
            found[variant] = None
        if len(found) == N_VARIANTS:
            return tuple(found)


VARIANTS = _variants()


def variant_of(seed):
    return VARIANTS[seed % N_VARIANTS]


def seeds(number):
    """Seeds of so many combinations, of as few variants as `PER_VARIANT` allows, variant by variant."""
    n_variants = min(max(number // PER_VARIANT, 1), N_VARIANTS)
    return [v + N_VARIANTS * j for v in range(n_variants) for j in range(-(-number // n_variants))]
