-- name: replicas_to_prove
-- The available replicas of a store that were proved longest ago, in pages: after the last one of the page before. A
-- sample takes those whose hash, which depends on the run, falls below a number of buckets of 0.01 %.
SELECT r.*, proved_at(r.storage_class, r.verified_at, r.seen_at) AS proved_at
FROM replicas r
WHERE r.store = :store AND r.state = 'available'
  AND proved_at(r.storage_class, r.verified_at, r.seen_at) < :before::timestamptz
  AND (proved_at(r.storage_class, r.verified_at, r.seen_at), r.segment_id) > (:after_time::timestamptz, :after_id::uuid)
  AND r.start_time >= :range_start::timestamptz AND r.start_time < :range_end::timestamptz
  AND (:buckets >= 10000 OR mod(uuid_hash_extended(r.segment_id, :seed) & 9223372036854775807, 10000) < :buckets)
  AND (:camera_id::uuid IS NULL
       OR EXISTS (SELECT FROM segments s
                  WHERE s.id = r.segment_id AND s.start_time = r.start_time AND s.camera_id = :camera_id::uuid))
ORDER BY proved_at(r.storage_class, r.verified_at, r.seen_at), r.segment_id
LIMIT :limit;

-- name: count_to_prove
-- How many replicas `replicas_to_prove` would tell in all its pages, and of how many bytes, by storage class.
SELECT r.storage_class, count(*) AS replicas, sum(r.size_bytes)::bigint AS size_bytes
FROM replicas r
WHERE r.store = :store AND r.state = 'available'
  AND proved_at(r.storage_class, r.verified_at, r.seen_at) < :before::timestamptz
  AND r.start_time >= :range_start::timestamptz AND r.start_time < :range_end::timestamptz
  AND (:buckets >= 10000 OR mod(uuid_hash_extended(r.segment_id, :seed) & 9223372036854775807, 10000) < :buckets)
  AND (:camera_id::uuid IS NULL
       OR EXISTS (SELECT FROM segments s
                  WHERE s.id = r.segment_id AND s.start_time = r.start_time AND s.camera_id = :camera_id::uuid))
GROUP BY r.storage_class;

-- name: replicas_to_see
-- The available replicas of a store that were not seen lately, in pages by path: neighbours lie in one listing.
SELECT r.*
FROM replicas r
WHERE r.store = :store AND r.state = 'available' AND greatest(r.verified_at, r.seen_at) < :before::timestamptz
  AND r.path > :after_path
  AND r.start_time >= :range_start::timestamptz AND r.start_time < :range_end::timestamptz
  AND (:buckets >= 10000 OR mod(uuid_hash_extended(r.segment_id, :seed) & 9223372036854775807, 10000) < :buckets)
  AND (:camera_id::uuid IS NULL
       OR EXISTS (SELECT FROM segments s
                  WHERE s.id = r.segment_id AND s.start_time = r.start_time AND s.camera_id = :camera_id::uuid))
ORDER BY r.path
LIMIT :limit;

-- name: count_to_see
-- How many replicas `replicas_to_see` would tell in all its pages.
SELECT count(*) AS replicas
FROM replicas r
WHERE r.store = :store AND r.state = 'available' AND greatest(r.verified_at, r.seen_at) < :before::timestamptz
  AND r.start_time >= :range_start::timestamptz AND r.start_time < :range_end::timestamptz
  AND (:buckets >= 10000 OR mod(uuid_hash_extended(r.segment_id, :seed) & 9223372036854775807, 10000) < :buckets)
  AND (:camera_id::uuid IS NULL
       OR EXISTS (SELECT FROM segments s
                  WHERE s.id = r.segment_id AND s.start_time = r.start_time AND s.camera_id = :camera_id::uuid));

-- name: suspicious_replicas
-- The suspicious replicas of a store, in pages.
SELECT r.*
FROM replicas r
WHERE r.store = :store AND r.state = 'suspicious'
  AND (r.start_time, r.segment_id) > (:after_time::timestamptz, :after_id::uuid)
  AND r.start_time >= :range_start::timestamptz AND r.start_time < :range_end::timestamptz
  AND (:camera_id::uuid IS NULL
       OR EXISTS (SELECT FROM segments s
                  WHERE s.id = r.segment_id AND s.start_time = r.start_time AND s.camera_id = :camera_id::uuid))
ORDER BY r.start_time, r.segment_id
LIMIT :limit;

-- name: bytes_proved_since
-- How many bytes of replicas that are older were proved in a store since a time: what a run that began then has read.
SELECT coalesce(sum(r.size_bytes), 0)::bigint AS size_bytes
FROM replicas r
WHERE r.store = :store AND r.state = 'available' AND r.created_at < :since
  AND proved_at(r.storage_class, r.verified_at, r.seen_at) >= :since AND r.verified_at >= :since;

-- name: confirm_replicas
-- These replicas were found as recorded, where they still are said to be. Reading one whole proves it, and makes one that
-- was doubted available again; seeing it does not. One row for each that was doubted.
WITH found AS (
    SELECT n.*, r.state
    FROM json_to_recordset(:rows::json) AS n (
        segment_id uuid, start_time timestamptz, store text, path text, checksum text, found_at timestamptz,
        is_proved boolean)
    JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store
        AND r.path = n.path AND r.checksum = n.checksum
    WHERE r.start_time BETWEEN :first_start AND :last_start
      AND (r.state = 'available' OR n.is_proved AND r.state IN ('suspicious', 'lost'))
    ORDER BY r.start_time, r.segment_id, r.store
    FOR UPDATE OF r
), confirmed AS (
    UPDATE replicas r
    SET state = 'available', seen_at = f.found_at, suspected_at = NULL,
        verified_at = CASE WHEN f.is_proved THEN f.found_at ELSE r.verified_at END
    FROM found f
    WHERE r.segment_id = f.segment_id AND r.start_time = f.start_time AND r.store = f.store
      AND r.start_time BETWEEN :first_start AND :last_start
)
SELECT segment_id, start_time, store FROM found WHERE state <> 'available';

-- name: point_to_healed!
-- Make reads of segments that ask a replica which is not available ask one of these first, which are again.
UPDATE segments s SET storage_backend = r.store, storage_path = r.path
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store
WHERE s.id = n.segment_id AND s.start_time = n.start_time AND r.state = 'available'
  AND s.start_time BETWEEN :first_start AND :last_start AND r.start_time BETWEEN :first_start AND :last_start
  AND NOT EXISTS (SELECT FROM replicas p
                  WHERE p.segment_id = s.id AND p.start_time = s.start_time AND p.store = s.storage_backend
                    AND p.state = 'available' AND p.start_time BETWEEN :first_start AND :last_start);
