"""Fitted models and checkpoints in files."""

from fastem.persistence.models import load, save
from fastem.system.records import ModelFileError

__all__ = ["ModelFileError", "load", "save"]
