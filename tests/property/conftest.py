"""Shared machines are slow at times: no deadline per example; the suite's timeout is the limit."""

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
