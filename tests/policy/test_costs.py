"""What keeping, moving and restoring costs. The golden cases are worked by hand from the prices at their sources."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import ConfigurationError
from reelkeeper.policy.costs import (
    LARGEST,
    monthly_cost,
    move_cost,
    retrieval_cost,
    smallest_paying,
    storage_cost,
    write_cost,
)
from reelkeeper.policy.prices import DAYS_PER_MONTH, ClassPrice, flat_price, load_prices, prices_of, shipped_prices
from reelkeeper.stores.s3_writing import requests_to_write

LISTS = load_prices(shipped_prices())
AWS, GCS = LISTS["aws:us-east-1"], LISTS["gcs:us-central1"]
STANDARD, IA, INSTANT = AWS.of("STANDARD"), AWS.of("STANDARD_IA"), AWS.of("GLACIER_IR")
GLACIER, DEEP = AWS.of("GLACIER"), AWS.of("DEEP_ARCHIVE")
GB, KB = 2**30, 2**10


def usd(text: str) -> object:
    return pytest.approx(Decimal(text), rel=Decimal("1e-6"))


# --- golden cases: https://aws.amazon.com/s3/pricing/, us-east-1 ------------------------------------------------------
# A month is 365/12 days. STANDARD 0.023, STANDARD_IA 0.0125, GLACIER_IR 0.004, GLACIER 0.0036, DEEP_ARCHIVE 0.00099
# USD for a GB (2^30 bytes) and month.


def test_a_small_segment_kept_for_ten_days_loses_in_ia() -> None:
    # 100 KB, 10 days left. Staying: 100 KB / 2^30 × 0.023 × 10 × 12/365 = 9.5367e-5 GB × 0.0075616 = 7.21140e-7.
    # There: billed as 128 KB for 30 days: 1.220703e-4 GB × 0.0125 × 360/365 = 1.504977e-6. Once: 0.01 / 1000.
    cost = move_cost(STANDARD, IA, size_bytes=100 * KB, days_in_class=7, days_kept=10)
    assert cost.one_off_usd == Decimal("0.00001")
    assert cost.saving_usd == usd("-0.00001078384")  # 7.2114e-7 - 1.504977e-6 - 1e-5
    assert not cost.pays
    assert "30 days" in cost.why
    assert "131072 bytes" in cost.why


def test_a_gigabyte_kept_for_a_year_saves_in_ia() -> None:
    # 12 × (0.023 - 0.0125) - 0.00001 = 0.12599
    cost = move_cost(STANDARD, IA, size_bytes=GB, days_in_class=7, days_kept=365)
    assert cost.saving_usd == usd("0.12599")
    assert cost.pays


def test_glacier_bills_ninety_days_and_forty_kilobytes() -> None:
    # 1 GB, 30 days left. Staying: 0.023 × 360/365 = 0.02268493. There 90 days: (1 GB + 32 KB) × 0.0036 + 8 KB × 0.023
    # = 0.0036 + 3.051758e-5 × 0.0036 + 7.629395e-6 × 0.023 = 0.003600285 a month, × 1080/365 = 0.010652899.
    # Once: 0.03 / 1000.
    cost = move_cost(STANDARD, GLACIER, size_bytes=GB, days_in_class=0, days_kept=30)
    assert cost.saving_usd == usd("0.0120020324")  # 0.0226849315 - 0.0106528991 - 0.00003
    # 10 KB for a year: 10 KB are 9.536743e-6 GB. Staying: × 0.023 × 12 = 2.632141e-6. There: (42 KB at 0.0036 and 8 KB
    # at 0.023) × 12 = (4.005432e-5 × 0.0036 + 1.754761e-7) × 12 = 3.836060e-6, plus 3e-5: dearer for ever.
    small = move_cost(STANDARD, GLACIER, size_bytes=10 * KB, days_in_class=0, days_kept=365)
    assert small.saving_usd == usd("-0.00003120392")
    assert not move_cost(STANDARD, GLACIER, size_bytes=10 * KB, days_in_class=0, days_kept=36_500).pays


def test_deep_archive_bills_a_hundred_and_eighty_days() -> None:
    # 1 GB, 20 days left. Staying: 0.023 × 240/365 = 0.01512329. There 180 days: (0.00099 + 3.0212e-8 + 1.754761e-7) ×
    # 2160/365 = 0.005859847. Once 0.00005.
    cost = move_cost(STANDARD, DEEP, size_bytes=GB, days_in_class=0, days_kept=20)
    assert cost.saving_usd == usd("0.00921344")


def test_leaving_ia_after_ten_days_pays_for_thirty_and_for_reading_it() -> None:
    # 1 GB, 10 of 30 days in IA, 100 days left. Once: 0.02 / 1000 + 0.01 for reading it + 20 days: 0.0125 × 240/365 =
    # 0.008219178. Staying: 0.0125 × 1200/365 = 0.04109589. There: 0.004 × 1200/365 = 0.01315068.
    cost = move_cost(IA, INSTANT, size_bytes=GB, days_in_class=10, days_kept=100)
    assert cost.one_off_usd == usd("0.018239178")
    assert cost.saving_usd == usd("0.009706027")  # 0.04109589 - 0.01315068 - 0.018239178
    assert "it has been there for 10" in cost.why


def test_reading_out_of_instant_retrieval_eats_the_saving_of_years() -> None:
    # 1 GB: once 0.03 + 0.00003; saving 0.0036 against 0.004: about 0.0004 a month, so 75 months and more.
    assert not move_cost(INSTANT, GLACIER, size_bytes=GB, days_in_class=90, days_kept=5 * 365).pays
    assert move_cost(INSTANT, GLACIER, size_bytes=GB, days_in_class=90, days_kept=7 * 365).pays


def test_another_store_gets_the_bytes_over_the_internet() -> None:
    # 1 GB from STANDARD_IA to a disk at 0.01 a month for 10^9 bytes, kept for a year: staying 0.0125 × 12 = 0.15; there
    # 1.073741824 × 0.01 × 12 = 0.12884902; once 0.001 / 1000 for the GET, 0.01 for reading, 0.09 for leaving AWS.
    disk = flat_price("disk", Decimal("0.01"))
    cost = move_cost(IA.leaving(), disk, size_bytes=GB, days_in_class=30, days_kept=365)
    assert cost.one_off_usd == usd("0.100001")
    assert cost.saving_usd == usd("-0.07885002")
    assert move_cost(IA, disk, size_bytes=GB, days_in_class=30, days_kept=365).one_off_usd == usd("0.01")


def test_google_bills_archive_for_a_year() -> None:
    # 1 GiB, 90 days left, from STANDARD: 0.02 × 1080/365 = 0.05917808; in ARCHIVE for 365 days 0.0012 × 12 = 0.0144;
    # once 0.05 / 1000. https://cloud.google.com/storage/pricing
    cost = move_cost(GCS.of("STANDARD"), GCS.of("ARCHIVE"), size_bytes=GB, days_in_class=0, days_kept=90)
    assert cost.saving_usd == usd("0.04472808")


def test_an_expedited_restore_is_dear() -> None:
    # https://repost.aws/knowledge-center/s3-manage-data-retrieval: 15,000,000 objects, 100 TB (102,400 GB): standard
    # 15,000,000 / 1000 × 0.05 + 102,400 × 0.01 = 1,774; expedited 15,000,000 / 1000 × 10 + 102,400 × 0.03 = 153,072.
    footage = {"size_bytes": 102_400 * GB, "objects": 15_000_000}
    assert retrieval_cost(GLACIER, speed="standard", **footage) == 1774  # type: ignore[arg-type]
    assert retrieval_cost(GLACIER, speed="expedited", **footage) == 153_072  # type: ignore[arg-type]
    assert retrieval_cost(GLACIER, speed="bulk", **footage) == 0  # type: ignore[arg-type]
    # The copy is billed like STANDARD: 1 GB for 7 days 0.023 × 84/365 = 0.005293151, retrieval 0.01 + 0.00005.
    assert retrieval_cost(GLACIER, size_bytes=GB, speed="standard", days=7) == usd("0.015343151")


def test_a_large_object_is_written_by_many_requests() -> None:
    # 100 MiB goes in parts of 16 MiB: 7, with one request that begins and one that completes 9. To STANDARD_IA
    # 9 × 0.01 / 1000 = 0.00009; to GLACIER the last one is 0.03 / 1000, and 8 are billed as STANDARD's, 0.005 / 1000:
    # 0.00007. https://aws.amazon.com/s3/pricing/, https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    size = 100 * 2**20
    assert [requests_to_write(each) for each in (0, 8 * 2**20, 8 * 2**20 + 1, size)] == [1, 1, 3, 9]
    assert requests_to_write(2**40) == 10_002  # no more parts than S3 takes
    for price, requests_usd in ((IA, "0.00009"), (GLACIER, "0.00007")):
        kept = storage_cost(price, size, 365)
        assert write_cost(price, size, 365, requests=9) - kept == Decimal(requests_usd)
        assert write_cost(price, size, 365) - kept == price.put_usd


def test_own_hardware_costs_what_it_is_said_to() -> None:
    disk, tape = flat_price("disk", Decimal("0.05")), flat_price("tape", Decimal("0.01"))
    assert monthly_cost(disk, 10**9) == usd("0.05")  # 10^9 bytes
    assert monthly_cost(IA, 256 * KB, objects=2) == monthly_cost(IA, 2 * 100 * KB, objects=2)  # 128 KB each at least
    assert move_cost(disk, tape, size_bytes=1, days_in_class=0, days_kept=1).pays
    assert not move_cost(tape, disk, size_bytes=1, days_in_class=0, days_kept=1).pays
    assert not move_cost(disk, tape, size_bytes=10**12, days_in_class=0, days_kept=0).pays


# --- price lists ------------------------------------------------------------------------------------------------------


def test_an_unknown_class_list_or_speed_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no storage class 'INTELLIGENT_TIERING'"):
        AWS.of("INTELLIGENT_TIERING")
    with pytest.raises(ConfigurationError, match="unknown price list 'aws:mars'"):
        prices_of(LISTS, "aws:mars")
    with pytest.raises(ConfigurationError, match="no retrieval of speed 'expedited'"):
        retrieval_cost(DEEP, size_bytes=1, speed="expedited")
    with pytest.raises(ConfigurationError, match="no retrieval of speed 'bulk'"):
        retrieval_cost(STANDARD, size_bytes=1, speed="bulk")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('put_usd_per_1000 = "0.05"\n', "", "put_usd_per_1000: Field required"),
        ('get_usd_per_1000 = "0.05"', "get_usd_per_1000 = -1", "greater than or equal to 0"),
        ("minimum_days = 365", "minimum_days = 365\nminimum_hours = 1", "minimum_hours: Extra inputs"),
        ('hot = "STANDARD"', 'hot = "WARM"', "no class 'WARM'"),
        ('minimum_days = { url = "https://cloud', 'minimum_hours = { url = "https://cloud', "expected one for each of"),
        ('gb_bytes = { url = "https://aws', 'gb_bytes = { url = "aws', "url: String should match"),
        ("[lists.", "[list.", "expected 'lists' alone"),
        ("= 1_073_741_824", "= ", "is not TOML"),
    ],
)
def test_a_list_that_is_not_whole_is_an_error(old: str, new: str, complaint: str) -> None:
    text = shipped_prices()
    assert old in text
    with pytest.raises(ConfigurationError, match=complaint):
        load_prices(text.replace(old, new))


def test_colder_is_cheaper_to_keep_and_archives_must_be_restored() -> None:
    for names, prices in ((("STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"), AWS),
                          (("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"), GCS)):  # fmt: skip
        costs = [monthly_cost(prices.of(name), GB) for name in names]
        assert costs == sorted(costs, reverse=True)
    assert [name for name, price in AWS.classes.items() if price.must_restore] == ["GLACIER", "DEEP_ARCHIVE"]
    assert not any(price.must_restore for price in GCS.classes.values())


# --- for any object ---------------------------------------------------------------------------------------------------

prices = st.sampled_from([*AWS.classes.values(), *GCS.classes.values(), flat_price("disk", Decimal("0.01"))])
sizes = st.one_of(st.integers(1, 300_000), st.integers(1, 2**40))
days = st.integers(0, 4000)
moves = st.tuples(prices, prices, days, days)


@given(moves, sizes)
def test_the_break_even_agrees_with_the_cost_on_both_sides(
    move: tuple[ClassPrice, ClassPrice, int, int], size: int
) -> None:
    origin, target, in_class, kept = move

    def pays(size_bytes: int) -> bool:
        return move_cost(origin, target, size_bytes=size_bytes, days_in_class=in_class, days_kept=kept).pays

    smallest = smallest_paying(origin, target, days_in_class=in_class, days_kept=kept)
    # What is added to each object, whatever its size, makes tiny ones leave with a gain where others would not.
    is_plain = not origin.overhead_usd_per_day and size >= origin.minimum_bytes
    if smallest is None:
        assert not pays(LARGEST)
        assert not (is_plain and pays(size))
        return
    assert pays(smallest)
    assert smallest == 1 or not pays(smallest - 1)
    assert pays(smallest + size)
    if is_plain:
        assert pays(size) == (size >= smallest)


@given(moves, sizes, st.integers(1, 2**30))
def test_a_larger_object_costs_more(move: tuple[ClassPrice, ClassPrice, int, int], size: int, more: int) -> None:
    origin, target, in_class, kept = move
    small = move_cost(origin, target, size_bytes=size, days_in_class=in_class, days_kept=kept)
    large = move_cost(origin, target, size_bytes=size + more, days_in_class=in_class, days_kept=kept)
    assert large.one_off_usd >= small.one_off_usd
    assert monthly_cost(origin, size + more) >= monthly_cost(origin, size)


@given(moves, sizes, st.integers(1, 4000))
def test_what_pays_pays_the_more_the_longer_it_is_kept(
    move: tuple[ClassPrice, ClassPrice, int, int], size: int, longer: int
) -> None:
    origin, target, in_class, kept = move
    now = move_cost(origin, target, size_bytes=size, days_in_class=in_class, days_kept=kept)
    later = move_cost(origin, target, size_bytes=size, days_in_class=in_class, days_kept=kept + longer)
    assert later.one_off_usd == now.one_off_usd
    if now.pays:
        assert later.saving_usd >= now.saving_usd


@given(moves, sizes)
def test_waiting_for_the_end_of_a_minimum_duration_is_never_dearer(
    move: tuple[ClassPrice, ClassPrice, int, int], size: int
) -> None:
    """Why a plan lets replicas wait: leaving early pays for both classes over the rest of the minimum duration."""
    origin, target, in_class, kept = move
    rest = max(origin.minimum_days - in_class, 0)
    now = move_cost(origin, target, size_bytes=size, days_in_class=in_class, days_kept=kept)
    if kept >= rest:
        then = move_cost(origin, target, size_bytes=size, days_in_class=in_class + rest, days_kept=kept - rest)
        assert then.saving_usd >= now.saving_usd - Decimal("1e-20")
    else:
        assert not now.pays


@given(prices, sizes, days)
def test_writing_costs_at_least_the_minimum_duration(price: ClassPrice, size: int, kept: int) -> None:
    assert write_cost(price, size, kept) >= monthly_cost(price, size) / DAYS_PER_MONTH * price.minimum_days


def test_a_class_that_must_be_restored_is_known_as_such_by_any_price() -> None:
    assert flat_price("GLACIER", Decimal("0.0036")).must_restore
    text = shipped_prices()
    begin = text.index('[lists."aws:us-east-1".classes.GLACIER.retrieval]')
    without = text[:begin] + text[text.index('[lists."aws:us-east-1".classes.DEEP_ARCHIVE]') :]
    with pytest.raises(ConfigurationError, match=r"no 'retrieval' for \['GLACIER'\]"):
        load_prices(without)
