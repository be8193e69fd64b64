"""What goes wrong in the life of an estate, done on purpose: strays that nobody knows, copies that vanish or rot."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from demo.audit import rows, s3_client
from demo.estate import Servers

_ORPHANS = {"local": 2, "cloud": 4}
_COPIES = """
    SELECT r.path FROM reelkeeper.replicas r
    JOIN reelkeeper.segments s ON s.id = r.segment_id AND s.start_time = r.start_time
    JOIN reelkeeper.cameras c ON c.id = s.camera_id
    WHERE r.store = %s AND r.state = 'available' AND c.slug = %s ORDER BY r.start_time
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """What was done, by store: keys of objects that no row knows, and paths of copies."""

    orphans: dict[str, list[str]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)
    """Deleted behind the catalogue's back."""
    cut: dict[str, list[str]] = field(default_factory=dict)
    """Half of the bytes are gone."""
    rotten: dict[str, list[str]] = field(default_factory=dict)
    """As many bytes, and one of them another: only a hash tells."""

    @property
    def damaged(self) -> int:
        """How many copies are not as they were."""
        return sum(len(keys) for done in (self.removed, self.cut, self.rotten) for keys in done.values())

    @property
    def set_aside(self) -> int:
        """How many copies are there, but damaged: a repair puts them aside."""
        return sum(len(keys) for done in (self.cut, self.rotten) for keys in done.values())


def plant(servers: Servers, camera: str) -> Planted:
    """Do it all, to copies of one camera. No segment loses more than one copy."""
    planted = Planted()
    for store, change in (("local", _change_on_disk), ("cloud", _change_in_cloud)):
        paths = iter([path for (path,) in rows(servers, _COPIES, (store, camera))])
        if store == "cloud":  # other segments than those of the local store
            for _ in range(10):
                next(paths)
        planted.orphans[store] = [
            f"media/demo/nobody/2020/02/28/20200228T000000Z_{uuid4()}.mp4" for _ in range(_ORPHANS[store])
        ]
        planted.removed[store] = [next(paths), next(paths)]
        planted.cut[store] = [next(paths)]
        planted.rotten[store] = [next(paths)]
        for key in planted.orphans[store]:
            change(servers, key, lambda _: b"a copy whose row was lost with a database that nobody had backed up")
        for key in planted.removed[store]:
            change(servers, key, lambda _: None)
        for key in planted.cut[store]:
            change(servers, key, lambda data: data[: len(data) // 2])
        for key in planted.rotten[store]:
            change(servers, key, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    return planted


Edit = Callable[[bytes], bytes | None]
"""From what an object holds (nothing, when it is not there) to what it is to hold; None: it is to vanish."""


def _change_on_disk(servers: Servers, key: str, edit: Edit) -> None:
    path = servers.footage / key
    data = edit(path.read_bytes() if path.exists() else b"")
    path.unlink(missing_ok=True)  # stores write their files read-only, and links may lead to the same bytes
    if data is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _change_in_cloud(servers: Servers, key: str, edit: Edit) -> None:
    client, place = s3_client(servers.seaweedfs), {"Bucket": servers.cloud_bucket, "Key": key}
    there = client.list_objects_v2(Bucket=servers.cloud_bucket, Prefix=key)["KeyCount"]
    data = edit(client.get_object(**place)["Body"].read() if there else b"")
    if data is None:
        client.delete_object(**place)
    else:
        client.put_object(**place, Body=data)
