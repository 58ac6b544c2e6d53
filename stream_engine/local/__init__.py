"""The embedded default: broker, workers, model and demo data on one machine."""
