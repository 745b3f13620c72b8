"""gridmap: from every power plant and transmission corridor to the map of deficits and bottlenecks."""

__version__ = "0.1.0"


class InputError(ValueError):
    """Something the user gave can't be used; the message says what, where, and what to do about it."""
