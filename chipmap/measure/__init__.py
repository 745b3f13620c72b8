"""What objects are and how large: kinds, borders to the fraction of a pixel, lines, thin layers."""
