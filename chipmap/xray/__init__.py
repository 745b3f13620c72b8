"""X-ray spectra and maps: which elements, how much of each, in every object."""
