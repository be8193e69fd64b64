"""Figures as people read them."""

from datetime import date
from decimal import Decimal

from reelkeeper.wording import counted, day_name, duration, percent, size, usd


def test_people_can_read_sizes_and_times() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536 * 2**20, 5 * 2**40)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 GiB", "5.0 TiB",
    ]  # fmt: skip
    assert [duration(s) for s in (0.4, 59, 60, 3599, 3900)] == ["0 s", "59 s", "1 min", "1 h 00 min", "1 h 05 min"]


def test_small_amounts_of_money_keep_three_digits() -> None:
    amounts = (Decimal(0), Decimal("1234.5"), Decimal("0.01"), Decimal("0.000012345"), Decimal("0.0000380"), -3.0)
    assert [usd(amount) for amount in amounts] == [
        "0.00 USD", "1,234.50 USD", "0.01 USD", "0.0000123 USD", "0.000038 USD", "-3.00 USD",
    ]  # fmt: skip


def test_a_percentage_hides_neither_the_last_one_missing_nor_the_only_one_there() -> None:
    assert [percent(ratio) for ratio in (0, 0.0001, 0.05, 0.125, 0.9999, 1)] == [
        "0 %", "under 0.1 %", "5 %", "12.5 %", "99.9 %", "100 %",
    ]  # fmt: skip


def test_one_is_not_many() -> None:
    assert [counted(1, "store"), counted(2000, "store"), counted(0, "camera is", "cameras are")] == [
        "1 store", "2,000 stores", "0 cameras are",
    ]  # fmt: skip


def test_days_are_named_without_a_leading_zero() -> None:
    assert day_name(date(2026, 3, 5)) == "5 March 2026"
