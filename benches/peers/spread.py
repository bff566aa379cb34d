"""How ratios of several rounds are written."""

import statistics


def spread(values, digits=2):
    """The median, with the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
