"""The width of the processor's registers changes the speed of a pass, but no bit of its results."""

import platform

import numpy as np
import pytest
from llvmlite import binding
from processes import python

from fastem.kernels import registers

pytestmark = pytest.mark.slow

HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
X86 = platform.machine() in ("x86_64", "AMD64")
WHICH = "import json; from fastem.kernels.registers import REGISTERS; print(json.dumps(REGISTERS))"
of_x86 = pytest.mark.skipif(not X86, reason="names of x86-64")


@of_x86
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (HASWELL, [32, 16, True]),
        ({"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": ""}, [64, 32, True]),
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}, [16, 16, False]),
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+avx2,+fma"}, [32, 16, True]),
    ],
)
def test_registers_are_those_of_the_processor_that_code_is_generated_for(variables, expected):
    assert python(WHICH, **variables) == expected


@pytest.mark.parametrize("width", registers.WIDTHS)
def test_their_width_can_be_given(width):
    assert python(WHICH, FASTEM_VECTOR_BYTES=str(width))[0] == width


@pytest.mark.parametrize("wrong", ["8", "wide", "-16"])
def test_a_width_that_no_processor_has_is_refused(wrong, monkeypatch):
    monkeypatch.setenv("FASTEM_VECTOR_BYTES", wrong)
    with pytest.raises(ValueError, match=f"FASTEM_VECTOR_BYTES must be 16, 32 or 64, not '{wrong}'"):
        registers.of_processor()


def test_code_for_another_width_is_kept_apart():
    code = "import json; from fastem.kernels.jit import fingerprint; print(json.dumps(fingerprint()))"
    assert len({python(code, FASTEM_VECTOR_BYTES=width) for width in ("", "16", "32", "64")}) == 4


@pytest.fixture(scope="module")
def here():
    """Digests at the width of this processor."""
    return digests()


def digests(**variables):
    return python("import widths; widths.main()", **variables)


@pytest.mark.slow
@pytest.mark.parametrize("width", registers.WIDTHS)
def test_a_fit_has_the_same_bits_at_every_width_of_registers(width, here):
    if width == registers.REGISTERS.n_bytes:
        pytest.skip("it is this processor's")
    assert digests(FASTEM_VECTOR_BYTES=str(width)) == here


@of_x86
@pytest.mark.slow
@pytest.mark.skipif(not binding.get_host_cpu_features().get("avx2"), reason="it could not be run")
def test_a_fit_has_the_same_bits_on_another_processor(here):
    """A processor for which numba, numpy and OpenBLAS use other code: for AVX2 or older, in place of AVX-512."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    newer = " ".join(name for name in found if "512" in name or name == "X86_V4")
    assert digests(**HASWELL, NPY_DISABLE_CPU_FEATURES=newer, OPENBLAS_CORETYPE="Sandybridge") == here
