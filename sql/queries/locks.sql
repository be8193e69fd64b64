-- name: promise_lock
-- Wait until no chunk of deletions is under way, and let none begin until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('reelkeeper locks ' || current_schema(), 0));

-- name: insert_lock!
-- Place a lock.
INSERT INTO locks (id, kind, camera_id, segment_id, start_time, end_time, reason, created_by, created_at, expires_at)
VALUES (:id, :kind, :camera_id, :segment_id, :start_time, :end_time, :reason, :created_by, :created_at, :expires_at);

-- name: release_lock
-- Release a lock that is not released yet.
UPDATE locks SET released_at = :now, released_by = :released_by
WHERE id = :id AND released_at IS NULL
RETURNING id;

-- name: lock_by_id
-- One lock, with the name of its camera.
SELECT l.*, c.tenant, c.slug FROM locks l LEFT JOIN cameras c ON c.id = l.camera_id WHERE l.id = :id;

-- name: list_locks
-- The locks in force, or all there ever were, with the names of their cameras; the oldest first.
SELECT l.*, c.tenant, c.slug
FROM locks l LEFT JOIN cameras c ON c.id = l.camera_id
WHERE :with_ended OR (l.released_at IS NULL AND (l.expires_at IS NULL OR l.expires_at > :now))
ORDER BY l.created_at, l.id;

-- name: locks_on
-- What forbids to delete footage of these cameras or these segments, locks on every camera included.
SELECT kind, reason, camera_id, segment_id, start_time, end_time
FROM held_footage
WHERE (expires_at IS NULL OR expires_at > :now)
  AND (segment_id = ANY (:segment_ids::uuid[])
       OR (segment_id IS NULL AND (camera_id IS NULL OR camera_id = ANY (:camera_ids::uuid[]))));

-- name: count_covered
-- How many segments a lock on a range covers now, how large they are, and how many have a copy that is condemned. Longest
-- segments bound how far before the range to look.
SELECT count(*) AS segments, coalesce(sum(s.size_bytes), 0)::bigint AS size_bytes,
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM replicas r
           WHERE r.segment_id = s.id AND r.start_time = s.start_time AND r.state = 'condemned')) AS condemned
FROM segments s
WHERE (:camera_id::uuid IS NULL OR s.camera_id = :camera_id::uuid)
  AND (:segment_id::uuid IS NULL OR s.id = :segment_id::uuid)
  AND (:end_time::timestamptz IS NULL OR s.start_time < :end_time::timestamptz)
  AND (:start_time::timestamptz IS NULL
       OR (s.end_time > :start_time::timestamptz
           AND s.start_time > :start_time::timestamptz - interval '24 hours'));
