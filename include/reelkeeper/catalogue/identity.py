"""Which catalogue this is: what the markers of its stores say."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reelkeeper.catalogue.session import Session


@dataclass(frozen=True, slots=True)
class CatalogueId:
    """The catalogue's identity. `database` is where it is now, for people: database and schema."""

    id: UUID
    database: str
    made_at: datetime  # when the first store was set up from it


class Identity:
    """The only row of its table."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self) -> CatalogueId | None:
        """This catalogue's identity; None: no store was set up from it."""
        return next((CatalogueId(**row._asdict()) for row in self._session.rows("catalogue_identity")), None)

    def make(self) -> CatalogueId:
        """The same, made unless there is one."""
        with self._session.transaction():
            self._session.execute("make_catalogue_identity")
            return CatalogueId(**self._session.row("catalogue_identity")._asdict())
