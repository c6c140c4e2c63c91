"""Sources of rows, and the sweeps over them: arrays, and chunks that are read again in each pass."""

from fastem.data.array import ArraySource
from fastem.data.base import RowSource, Sweepable
from fastem.data.chunked import ChunkSource, View
from fastem.data.maps import unchanged
from fastem.data.patterned import PatternSource
from fastem.data.ranges import (
    Range,
    common_origin,
    exact_origin,
    log_widths,
    range_of,
    range_of_present,
    reaches_single,
    single_suffices,
    weights_suffice,
)
from fastem.engine.records import Marks, Mixture, Rows, RowScores, Scores, Sweep, Wanted
from fastem.engine.tiling import PARALLEL_WORK, slab_bounds, workspace_rows

__all__ = [
    "PARALLEL_WORK",
    "ArraySource",
    "ChunkSource",
    "Marks",
    "Mixture",
    "PatternSource",
    "Range",
    "RowScores",
    "RowSource",
    "Rows",
    "Scores",
    "Sweep",
    "Sweepable",
    "View",
    "Wanted",
    "common_origin",
    "exact_origin",
    "log_widths",
    "range_of",
    "range_of_present",
    "reaches_single",
    "single_suffices",
    "slab_bounds",
    "unchanged",
    "weights_suffice",
    "workspace_rows",
]
