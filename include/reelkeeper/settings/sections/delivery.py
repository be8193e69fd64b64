"""`[exports]` and `[delivery]`: how people get at footage."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import KeyPrefix, Seconds, Size, WebBase, Whole


class Exports(Section):
    """What people may export, and what that may take."""

    max_hours: Annotated[Whole, Field(gt=0, le=24 * 366)] = 72
    """The longest range of one export."""
    max_cameras: Annotated[Whole, Field(gt=0, le=256)] = 16
    """Most cameras of one export. A mosaic has at most 16."""
    expiry_days: Annotated[Whole, Field(gt=0, le=3650)] = 7
    """How long an export lives, when nothing else is asked for."""
    max_expiry_days: Annotated[Whole, Field(gt=0, le=3650)] = 365
    """The longest life of an export that may be asked for."""
    work_directory: Path | None = None
    """Folder of the workers in which footage is cut, absolute; by default a temporary one."""
    work_bytes: Size = 64 * 2**30
    """Most bytes of that folder that one task takes: for sources that are fetched from a server, and for its result."""
    task_hours: Annotated[Seconds, Field(gt=0, le=168)] = 6
    """The longest time that one task may cut or compose."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.work_directory is not None and not self.work_directory.is_absolute():
            raise ValueError(f"expected an absolute 'work_directory'; got {str(self.work_directory)!r}")
        if self.expiry_days > self.max_expiry_days:
            raise ValueError("expected 'expiry_days' not above 'max_expiry_days'")
        return self


class Delivery(Section):
    """How people get at what the stores hold, by signed URLs or a CDN, and what proves an export."""

    url_seconds: Annotated[Whole, Field(gt=0)] = 3600
    """How long a signed URL lives when nothing else is asked for; never longer than the credential that signs it, or
    than seven days."""
    cdn_base_url: WebBase | None = None
    """Address of a CDN that serves a store's objects by their keys."""
    cdn_store: str | None = None
    """The store behind the CDN; by default the cloud store, or else the local one."""
    cdn_prefixes: tuple[KeyPrefix, ...] = ("media/", "thumbnails/")
    """The keys that are read by way of the CDN; the others by signed URLs of their store. Exports are left out, because
    a URL that is not signed neither ends nor asks who comes: add "exports/" with `cloudfront_key_id`."""
    cloudfront_key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{5,40}$")] | None = None
    """Id of the CloudFront public key (or key pair) whose private key signs the CDN's URLs; without it they are not
    signed."""
    cloudfront_connection: str = "reelkeeper_cloudfront"
    """Airflow connection id, of type reelkeeper_key: the private key of `cloudfront_key_id`, RSA in PEM."""
    signing_connection: str = "reelkeeper_signing"
    """Airflow connection id, of type reelkeeper_key: the private key that signs manifests, Ed25519 in PEM."""
    upload_prefixes: tuple[KeyPrefix, ...] = ("uploads/", "temp/")
    """Where a signed URL may put a new object."""
    largest_upload: Size = 5 * 2**30
    """Most bytes that a link of our own takes (one to a filesystem store). The API server keeps an upload in its
    temporary folder, $TMPDIR, until it is whole."""

    @model_validator(mode="after")
    def _with_a_base(self) -> Self:
        if self.cloudfront_key_id and not self.cdn_base_url:
            raise ValueError("expected 'cdn_base_url', the CloudFront distribution's address, with 'cloudfront_key_id'")
        return self
