"""Where rows come from, and the sweeps over them: an array, or chunks that are read anew in each pass."""

from fastem.sources._contract import Marks, Mixture, Rows, RowScores, RowSource, Scores, Sweep, Sweepable, Wanted
from fastem.sources.array import ArraySource
from fastem.sources.chunked import ChunkSource
from fastem.sources.maps import unchanged
from fastem.sources.patterned import PatternSource
from fastem.sources.ranges import (
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
from fastem.sources.tiling import PARALLEL_WORK, slab_bounds, workspace_rows

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
