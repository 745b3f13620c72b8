"""Node arrays with a pad of one all round, as `elastic` and `rigid` have them: (..., NY + 2, NX + 2)."""


def interior(a):
    """The view of a padded array without its pad."""
    return a[..., 1:-1, 1:-1]


def wrap(a, periodic):
    """Refresh the pad of a padded array at sides that wrap; returns a."""
    if periodic[1]:
        a[..., :, 0], a[..., :, -1] = a[..., :, -2], a[..., :, 1]
    if periodic[0]:
        a[..., 0, :], a[..., -1, :] = a[..., -2, :], a[..., 1, :]
    return a
