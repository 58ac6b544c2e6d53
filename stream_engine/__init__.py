"""An event-driven streaming recommendation engine: clicks in, recommendations out."""

__version__ = "0.1.0"
