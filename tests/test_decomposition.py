"""Volumes, shapes and orientations of covariances, and checks that covariances have a structure."""

import numpy as np
import pytest
from reference_structures import NAMES, factors_of, random_covariances, sizes

from fastem.families import get_family
from fastem.families._decomposition import decompose, violation
from fastem.families._parameters import count_free

pytestmark = pytest.mark.slow

K, D = 3, 4


@pytest.mark.parametrize("name", NAMES)
def test_the_decomposition_composes_the_covariances(name, rng):
    covariances = random_covariances(name, K, D, rng)
    volumes, shapes, orientations = decompose(name, covariances, factors_of(covariances))
    composed = np.einsum("k,kij,kj,klj->kil", volumes, orientations, shapes, orientations)
    np.testing.assert_allclose(composed, covariances, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(volumes, np.linalg.det(covariances) ** (1 / D), rtol=1e-12)
    np.testing.assert_allclose(shapes.prod(axis=1), 1.0, rtol=1e-12)
    for letter, part in zip(name, (volumes, shapes, orientations), strict=True):
        if letter != "V":
            assert (part == part[0]).all()
    if name[2] == "V":
        assert (np.diff(shapes, axis=1) <= 0).all()
    largest = np.abs(orientations).argmax(axis=1)[:, None]
    assert (np.take_along_axis(orientations, largest, axis=1) > 0).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_covariances_of_another_structure_are_told_from_those_of_this_one(name, dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for other in NAMES:
        covariances = random_covariances(other, K, D, rng).astype(dtype).astype(float)
        special = all(
            mine in ("V", theirs) or (mine, theirs) == ("E", "I") for mine, theirs in zip(name, other, strict=True)
        )
        found = violation(name, factors_of(covariances), eps)
        assert (found is None) == special, (other, found)
        assert found is None or f"structure {name}" in found


COUNTS = {"iris": (4, 3, (15, 17, 18, 20, 24, 26, 24, 26, 30, 32, 36, 38, 42, 44))}
COUNTS["faithful"] = (2, 2, (6, 7, 7, 8, 8, 9, 8, 9, 9, 10, 9, 10, 10, 11))


@pytest.mark.parametrize("data", COUNTS)
def test_free_parameters_are_counted_as_mclust_does(data):
    n_features, n_components, counts = COUNTS[data]
    for name, expected in zip(NAMES, counts, strict=True):
        family = get_family(f"gaussian-{name}")
        assert count_free(family.parameters, (n_components, n_features), {}) + n_components - 1 == expected
        assert sum(sizes(name, n_components, n_features)) + n_components * (n_features + 1) - 1 == expected
        fixed = count_free(family.parameters, (n_components, n_features), {"covariances": 0})
        assert fixed == n_components * n_features


def test_what_is_no_structure_is_no_family():
    for name in ("EIE", "IVV", "VV", "vvv", "VVVV"):
        with pytest.raises(KeyError):
            get_family(f"gaussian-{name}")
