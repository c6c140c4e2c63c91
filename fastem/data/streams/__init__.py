"""Data that do not fit into memory: sources, and how they are read in blocks."""

from fastem.data.streams.blocks import Block, Reader
from fastem.data.streams.source import Source, as_source, is_partitioned

__all__ = ["Block", "Reader", "Source", "as_source", "is_partitioned"]
