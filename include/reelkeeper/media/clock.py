"""Times of one clock in ticks of another."""

from datetime import timedelta
from fractions import Fraction


def seconds(span: timedelta) -> Fraction:
    """A length of time, exactly."""
    return Fraction(span // timedelta(microseconds=1), 1_000_000)


class Scale:
    """`(ticks - zero) × base + start`, in seconds, as whole ticks of `target`; both bases in seconds."""

    def __init__(self, base: Fraction, target: Fraction, zero: Fraction, start: Fraction) -> None:
        ratio = base / target
        self._numerator, self._denominator = ratio.numerator, ratio.denominator
        self._exact = (start - zero * base) / target
        self._rounded = round(self._exact)

    def __call__(self, ticks: int) -> int:
        if self._denominator == 1:  # as it is for every packet of most files
            return ticks * self._numerator + self._rounded
        return round(Fraction(ticks * self._numerator, self._denominator) + self._exact)

    def span(self, ticks: int) -> int:
        """A length of time."""
        return ticks * self._numerator // self._denominator
