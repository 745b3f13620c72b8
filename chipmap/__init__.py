"""chipmap: from a microscope picture of a chip to materials, objects, layout and finite elements."""

__version__ = "0.1.0"


class InputError(ValueError):
    """Something the user gave can't be used; the message says what, where, and what to do about it."""
