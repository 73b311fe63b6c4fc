"""A share in words."""


def percent(share: float, digits: int = 0) -> str:
    """Return a share of one as a percentage, with the space that is written before the sign."""
    return f"{share * 100:.{digits}f} %"
