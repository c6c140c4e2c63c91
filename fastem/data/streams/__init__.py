"""Data that do not fit into memory: what is taken for a source, and how it is read in blocks."""

from fastem.data.streams.blocks import Block, Reader
from fastem.data.streams.source import Source, as_source, is_partitioned

__all__ = ["Block", "Reader", "Source", "as_source", "is_partitioned"]
