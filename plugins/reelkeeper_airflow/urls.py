"""The URLs of the estate's objects, as tasks and the API make them, and the links that the API server answers."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import conf

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper.settings import Estate
from reelkeeper_airflow.estate import current_estate, open_store

if TYPE_CHECKING:
    from reelkeeper.delivery import Urls
    from reelkeeper.stores.cloudfront import UrlSigner
    from reelkeeper.stores.own_links import OwnLinks

_made: "tuple[Estate, Urls] | None" = None


def estate_urls() -> "Urls":
    """The maker of URLs of this process, with its cache: another one when the estate's file has changed.

    ConfigurationError, CredentialsNotFound.
    """
    from reelkeeper.delivery import Urls, cdn_of

    global _made
    estate = current_estate()
    if _made is None or _made[0] is not estate:
        cdn = cdn_of(estate, _cdn_signer(estate))
        urls = Urls(estate.delivery, open_store, cdn=cdn, links=own_links(), clock=lambda: datetime.now(UTC))
        _made = (estate, urls)
    return _made[1]


def own_links() -> "OwnLinks":
    """Links that Airflow's API server answers. Their secret is `[api] secret_key`, which all of an Airflow's parts
    share; their address `[api] base_url`. ConfigurationError.
    """
    from reelkeeper.stores.own_links import OwnLinks

    secret = conf.get("api", "secret_key", fallback="")
    try:
        return OwnLinks(secret, f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/reelkeeper")
    except ValueError as exc:
        raise ConfigurationError(
            f"Airflow's [api] secret_key cannot sign links, as it is a {exc}, the same for all components"
        ) from exc


def _cdn_signer(estate: Estate) -> "UrlSigner | None":
    from airflow.sdk.exceptions import AirflowNotFoundException

    from reelkeeper_airflow.hooks.keys import CloudFrontKeyHook

    delivery = estate.delivery
    if delivery.cloudfront_key_id is None:
        return None
    try:
        return CloudFrontKeyHook(delivery.cloudfront_connection).url_signer(delivery.cloudfront_key_id)
    except AirflowNotFoundException as exc:
        raise CredentialsNotFound(
            f"Airflow connection {delivery.cloudfront_connection!r} is not defined: expected the private key of "
            f"'cloudfront_key_id' {delivery.cloudfront_key_id!r} there"
        ) from exc
