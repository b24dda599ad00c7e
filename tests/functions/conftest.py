"""Kernels compile at their first call: a deadline would measure the compiler."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
