"""Pictures of fitted mixtures."""

from fastem.plotting.mixtures import plot_mixture

__all__ = ["plot_mixture"]
