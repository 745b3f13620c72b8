"""A picture against its reference layout: laid over each other, and what is missing, open, shorted or extra."""
