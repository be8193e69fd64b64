"""`reelkeeper hold`: footage that nothing may delete."""

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from reelkeeper.catalogue.catalogue import Catalogue


class _Moment(click.ParamType):  # type: ignore[type-arg]  # generic in its stubs alone
    """An ISO 8601 time with a zone."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from reelkeeper.model import utc

        if isinstance(value, datetime):
            return value
        try:
            return utc(datetime.fromisoformat(str(value)))
        except ValueError:
            self.fail(f"{value!r}: expected an ISO 8601 time with a zone, such as 2026-11-21T08:00:00Z", param, ctx)


_EXAMPLES = """\b
Examples:
  reelkeeper hold add --camera gate --from 2026-01-31T20:00:00Z --reason "case 17"
  reelkeeper hold add --every-camera --reason "incident 42: stop everything"
"""


@click.group()
def hold() -> None:
    """Footage that nothing may delete: legal holds."""


@hold.command(
    short_help="Place a hold: nothing that it covers is deleted.",
    epilog=_EXAMPLES,
)
@click.option("--camera", "cameras", multiple=True, metavar="CAMERA", help="Slug, TENANT/SLUG or id; may be repeated.")
@click.option("--segment", type=click.UUID, help="Hold this segment alone.")
@click.option("--every-camera", is_flag=True, help="Hold the footage of every camera.")
@click.option(
    "--from", "start", type=_Moment(), help="Footage from this time on, as 2026-01-31T20:00:00Z; by default all."
)
@click.option(
    "--to", "end", type=_Moment(), help="Footage before this time; by default without end: what is yet to come, too."
)
@click.option("--reason", required=True, help="Why, for the record: a case number, for example.")
@click.option("--until", type=_Moment(), help="When the hold ends by itself; by default when it is released.")
def add(
    cameras: tuple[str, ...],
    segment: UUID | None,
    every_camera: bool,
    start: datetime | None,
    end: datetime | None,
    reason: str,
    until: datetime | None,
) -> None:
    """Place a hold. When this returns, nothing that it covers is deleted any more, from any store.

    It waits for the deletions of that moment, a second or two. Copies that are condemned already come back instead of
    being deleted.
    """
    from reelkeeper.model import SegmentId
    from reelkeeper.retention.holds import place_hold
    from reelkeeper.wording import size
    from reelkeeper_airflow.estate import current_estate

    with _catalogue() as catalogue:
        placed = place_hold(
            catalogue,
            current_estate().tenant_name,
            reason=reason,
            created_by=getpass.getuser(),
            now=datetime.now(UTC),
            cameras=cameras,
            segment_id=SegmentId(segment) if segment else None,
            every_camera=every_camera,
            start=start,
            end=end,
            expires_at=until,
        )
    for one in placed:
        covered = one.covered
        click.echo(f"{one.id}  {one.what}: holds {covered.segments} segments now, {size(covered.size_bytes)}")
        if covered.condemned:
            click.echo(
                f"{'':38}{covered.condemned} of them have a copy that is condemned: it stays, and comes back when its "
                "grace ends (at once by enforce_retention with bring_back)"
            )


@hold.command()
@click.argument("identity", metavar="ID", type=click.UUID)
def release(identity: UUID) -> None:
    """End the hold with this ID. What it covered follows its retention again."""
    from reelkeeper.retention.holds import release_hold

    with _catalogue() as catalogue:
        ended = release_hold(catalogue, identity, released_by=getpass.getuser(), now=datetime.now(UTC))
    click.echo(f"{ended.id}  released: {ended.lock.reason}")


@hold.command(name="list")
@click.option("--all", "with_ended", is_flag=True, help="Also those that have ended.")
def list_(with_ended: bool) -> None:
    """Print the holds in force, the oldest first."""
    with _catalogue() as catalogue:
        placed = catalogue.locks.list(now=datetime.now(UTC), with_ended=with_ended)
    for one in placed:
        lock = one.lock
        what = f"segment {lock.segment_id}" if lock.segment_id else one.camera or "every camera"
        if not lock.segment_id:
            what += f"  {_told(lock.start_time, 'since ever')} to {_told(lock.end_time, 'for ever')}"
        if one.released_at:
            end = f"released by {one.released_by} {_told(one.released_at, '')}"
        else:
            end = f"until {_told(one.expires_at, 'released')}"
        placed_by = f"by {one.created_by} {_told(one.created_at, '')}"
        click.echo(f"{one.id}  {lock.kind}  {what}  {end}  {placed_by}  {lock.reason}")
    if not placed:
        click.echo("nothing is held")


def _told(moment: datetime | None, otherwise: str) -> str:
    return moment.isoformat(timespec="minutes") if moment else otherwise


def _catalogue() -> "Catalogue":
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    return Catalogue(connect_to_catalogue, schema=current_estate().catalogue.db_schema)
