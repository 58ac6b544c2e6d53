"""Candidates to a list: sources, filters, features, ranker, selector, reasons."""
