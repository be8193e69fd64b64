"""Every error that the core raises, and whether trying again can help.

A backend maps its SDK's exceptions to these at its edge, by code and never by message text, and raises them `from` the
original. Callers catch `TransientError` to retry and `PermanentError` to stop; nothing else leaves the core.
"""


class ReelkeeperError(Exception):
    """Base of all errors of the core. `code` is the stable short name kept in rows and metric labels."""

    code = "error"
    is_for_people = False
    """Whether the message names no folder, host or the like, nor what an SDK said: strangers may read it."""

    @property
    def in_words(self) -> str:
        """The code, for people: it tells nothing of a machine."""
        return self.code.replace("_", " ")


class TransientError(ReelkeeperError):
    """Trying again, later, can succeed."""

    code = "transient"


class PermanentError(ReelkeeperError):
    """Trying again without a change by a person cannot succeed."""

    code = "permanent"


class ConfigurationError(PermanentError, ValueError):
    """A setting is wrong; the message names the key, the value and what was expected."""

    code = "configuration"


# --- stores -----------------------------------------------------------------------------------------------------------


class StoreUnavailable(TransientError, ConnectionError):
    """The store did not answer, answered 5xx, asked to slow down, or lacks its marker: what it holds is unknown."""

    code = "store_unavailable"


class StoreTimeout(StoreUnavailable, TimeoutError):
    """The store did not answer in time."""

    code = "store_timeout"


class StoreFull(PermanentError, OSError):
    """No space or quota left."""

    code = "store_full"


class BucketNotFound(PermanentError, LookupError):
    """The bucket, or the root folder, does not exist."""

    code = "bucket_not_found"


class BucketOwnedByOther(PermanentError, PermissionError):
    """The bucket's name belongs to another account."""

    code = "bucket_owned_by_other"


class StoreNotOurs(PermanentError, PermissionError):
    """The store's marker does not say that it is this catalogue's: what it holds is no business of ours."""

    code = "store_not_ours"


class AccessDenied(PermanentError, PermissionError):
    """The credentials were refused, or lack a right."""

    code = "access_denied"


class CredentialsNotFound(PermanentError, LookupError):
    """The connection has no credentials."""

    code = "credentials_not_found"


class RegionMismatch(PermanentError, ValueError):
    """The bucket lives in another region; the message names the right one."""

    code = "region_mismatch"


class ObjectNotFound(PermanentError, FileNotFoundError):
    """No object has this key."""

    code = "object_not_found"


class ObjectExists(PermanentError, FileExistsError):
    """An object with this key and other bytes is there already; it is never overwritten."""

    code = "object_exists"


class ObjectArchived(PermanentError):
    """The object sits in an archive class and must be restored before it can be read."""

    code = "object_archived"


class DeletionForbidden(PermanentError):
    """The store's settings say that nothing is deleted from it, for no reason: `deletion = "forbidden"`."""

    code = "deletion_forbidden"


class InvalidKey(PermanentError, ValueError):
    """A key is not canonical (absolute, `..`, empty part, control character, not NFC)."""

    code = "invalid_key"


# --- footage ----------------------------------------------------------------------------------------------------------


class SourceCorrupted(PermanentError):
    """The bytes read are not those that the catalogue describes (size or SHA-256)."""

    code = "source_corrupted"


class TransferCorrupted(TransientError):
    """What the destination holds is not what was sent; sending again can help."""

    code = "transfer_corrupted"


class BeingDeleted(TransientError):
    """What was to be recorded lies where a deletion is decided, or under way: it may be gone. It is made anew later."""

    code = "being_deleted"


class StillGrowing(TransientError):
    """The file changed while it was looked at: it is deferred, not ingested and not an error."""

    code = "still_growing"


class InvalidFootage(PermanentError, ValueError):
    """A file cannot become a segment. `code` says why: it is the reason of the quarantine row."""

    code = "invalid_footage"

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class MediaError(PermanentError):
    """A program that works on footage failed, or was asked for what it may not do; the message has its last words."""

    code = "media"


class MediaTimeout(TransientError, TimeoutError):
    """A program that works on footage was not done in its time."""

    code = "media_timeout"


class InvalidManifest(PermanentError, ValueError):
    """A file is no manifest of an export, or was changed since it was signed."""

    code = "invalid_manifest"


class WorkFolderFull(TransientError, OSError):
    """No space is left in a worker's own folder: it can be there later, or on another worker."""

    code = "work_folder_full"


# --- jobs -------------------------------------------------------------------------------------------------------------


class RequestRefused(PermanentError, ValueError):
    """A person asked for what cannot be: `problems` names each field, its value and what was expected."""

    code = "request_refused"
    is_for_people = True

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)


class ExportEnded(PermanentError):
    """A worker's attempt at an export is over: the export has ended, or another run has begun it anew."""

    code = "export_ended"


class NoFootage(PermanentError, LookupError):
    """None of the cameras that were asked for has footage in the range."""

    code = "no_footage"
    is_for_people = True


class GateFailed(PermanentError):
    """A job's measured result is outside its bounds; the message gives both."""

    code = "gate_failed"
    is_for_people = True


class QualityFailed(PermanentError):
    """Rows of the catalogue are not what is expected of them; the message names the first of them."""

    code = "quality_failed"


class BudgetExceeded(PermanentError):
    """What a run is about to do costs more than it may, by the estimate: nothing of it was done."""

    code = "budget_exceeded"
    is_for_people = True


class NotificationFailed(TransientError):
    """People could not be told of an alarm by some channel; what was not sent is kept, and sent by the next try."""

    code = "notification_failed"


class CatalogueUnavailable(TransientError, ConnectionError):
    """PostgreSQL did not answer, or broke a connection, or asked to retry the transaction."""

    code = "catalogue_unavailable"


class MonitoringUnavailable(TransientError, ConnectionError):
    """What takes metrics (a Pushgateway, CloudWatch, a file for node_exporter) could not take them now."""

    code = "monitoring_unavailable"


class RowRefused(PermanentError, ValueError):
    """PostgreSQL refused a row: a value breaks one of its table's rules, or fits no column."""

    code = "unrecordable"


class MigrationRefused(PermanentError):
    """A schema migration was edited after it ran, or one that ran is gone."""

    code = "migration_refused"
