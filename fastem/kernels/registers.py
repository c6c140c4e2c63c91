"""Vector registers of the processor for which code is generated, and the blocks of sums that fit into them.

Results of a pass do not depend on them. Sums over rows are defined by logical vectors of 64 bytes, which processors
with narrower registers hold in several of them, and the shape of a block does not change the order of any sum.
"""

import os
import re
from typing import NamedTuple

from llvmlite import binding

from fastem.kernels import jit

LOGICAL_BYTES = 64  # of the vectors that define sums over rows
WIDTHS = (16, 32, 64)


class Registers(NamedTuple):
    """Size and number of a processor's vector registers, and whether it multiplies and adds in one step."""

    n_bytes: int
    number: int
    fused: bool


class Blocks(NamedTuple):
    """Shapes of the blocks of sums that are held in registers; a vector is one register here, not a logical vector.

    `asv_benchmarks/register_blocks.py` measures the speed of shapes.
    """

    triangle: tuple[int, int]  # rows of a triangular matrix x vectors of the tile
    scatter: tuple[int, int]  # rows x columns of a scatter matrix
    columns: tuple[int, int]  # components x vectors, of densities feature by feature
    pair: int  # features, of the moments of two components
    single: int  # features, of the moments of one component
    nearest: tuple[int, int]  # centres x vectors, of distances to them


BLOCKS = {
    16: Blocks(triangle=(4, 3), scatter=(4, 2), columns=(2, 3), pair=1, single=3, nearest=(4, 2)),
    32: Blocks(triangle=(4, 4), scatter=(4, 4), columns=(2, 4), pair=4, single=4, nearest=(4, 4)),
}

PROBE = """
declare <8 x double> @llvm.fma.v8f64(<8 x double>, <8 x double>, <8 x double>)
define <8 x double> @probe(<8 x double> %a, <8 x double> %b, <8 x double> %c) {
    %d = call <8 x double> @llvm.fma.v8f64(<8 x double> %a, <8 x double> %b, <8 x double> %c)
    ret <8 x double> %d
}
"""


def of_processor() -> Registers:
    """Registers of the processor for which numba generates code, `FASTEM_VECTOR_BYTES` wide if that is set.

    Raises
    ------
    ValueError
        If `FASTEM_VECTOR_BYTES` is set to anything but 16, 32 or 64.
    """
    found = _of_target()
    given = os.environ.get("FASTEM_VECTOR_BYTES")
    if not given:
        return found
    if given not in map(str, WIDTHS):
        raise ValueError(f"FASTEM_VECTOR_BYTES must be 16, 32 or 64, not {given!r}")
    wide = int(given) == LOGICAL_BYTES or is_arm()
    return Registers(int(given), 32 if wide else 16, found.fused)


def _of_target() -> Registers:
    if is_arm():
        return Registers(16, 32, True)
    if jit.is_for_host():
        features = binding.get_host_cpu_features()
        if features.get("avx512f"):
            return Registers(64, 32, True)
        return Registers(32 if features.get("avx") else 16, 16, bool(features.get("fma")))
    code = jit.assembly(PROBE)  # a multiply-add of a logical vector
    n_bytes = 64 if "%zmm" in code else 32 if "%ymm" in code else 16
    return Registers(n_bytes, 32 if n_bytes == LOGICAL_BYTES else 16, re.search(r"vfn?madd", code) is not None)


def is_arm() -> bool:
    """Whether the processor is an ARM processor."""
    return binding.get_process_triple().startswith(("aarch64", "arm64"))


REGISTERS = of_processor()
PARTS = LOGICAL_BYTES // REGISTERS.n_bytes  # registers in a logical vector
SHAPES = BLOCKS[REGISTERS.number]
