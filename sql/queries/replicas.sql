-- name: replicas_of_segments
-- All replicas of these segments. first_start and last_start bound them, so that other months are not looked at.
SELECT r.*
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time
WHERE r.start_time BETWEEN :first_start AND :last_start
ORDER BY r.segment_id, r.store;

-- name: any_replica_in
-- Whether the store holds a replica, as far as we know; lost ones count until they are forgotten.
SELECT EXISTS (SELECT FROM replicas WHERE store = :store) AS found;

-- name: replicas_by_path
-- The replicas that lie at these paths of a store.
SELECT r.* FROM unnest(:paths::text[]) AS asked (path) JOIN replicas r ON r.store = :store AND r.path = asked.path;

-- name: upsert_replicas
-- Store verified replicas. One that stood as suspicious or lost is good again; one that is available stays as it is, and
-- one that is condemned stays so, for its deletion may be under way. One row for each that is new or good again.
INSERT INTO replicas AS r (segment_id, start_time, store, path, storage_class, size_bytes, checksum, state, verified_at,
                           retire_after, tier)
SELECT segment_id, start_time, store, path, storage_class, size_bytes, checksum, state, verified_at, retire_after, tier
FROM json_to_recordset(:rows::json) AS n (
    segment_id uuid, start_time timestamptz, store text, path text, storage_class text, size_bytes bigint,
    checksum text, state text, verified_at timestamptz, retire_after timestamptz, tier text)
ORDER BY start_time, segment_id, store
ON CONFLICT (segment_id, store, start_time) DO UPDATE SET
    path = excluded.path, storage_class = excluded.storage_class, size_bytes = excluded.size_bytes,
    checksum = excluded.checksum, state = excluded.state, verified_at = excluded.verified_at,
    retire_after = coalesce(excluded.retire_after, r.retire_after),   -- of one that is made again
    tier = excluded.tier, tier_since = excluded.verified_at, seen_at = NULL, suspected_at = NULL,
    readable_until = NULL
    WHERE r.state IN ('suspicious', 'lost')
RETURNING r.segment_id, r.store;

-- name: retire_replicas!
-- Set the date from which replicas may leave their store, where they have none and the copy elsewhere is available.
UPDATE replicas r SET retire_after = :retire_after, retires_again = false
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text, copied_to text)
JOIN replicas copy ON copy.segment_id = n.segment_id AND copy.start_time = n.start_time AND copy.store = n.copied_to
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store
  AND r.retire_after IS NULL AND copy.state = 'available'
  AND r.start_time BETWEEN :first_start AND :last_start
  AND copy.start_time BETWEEN :first_start AND :last_start;

-- name: retire_again!
-- Set anew the date from which replicas may leave their store, where they lost it by a doubt: these copies, elsewhere, are
-- available.
UPDATE replicas r SET retire_after = :retire_after, retires_again = false
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text)
JOIN replicas copy ON copy.segment_id = n.segment_id AND copy.start_time = n.start_time AND copy.store = n.store
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store <> n.store
  AND r.retires_again AND copy.state = 'available'
  AND r.start_time BETWEEN :first_start AND :last_start
  AND copy.start_time BETWEEN :first_start AND :last_start;

-- name: reclass_replicas!
-- The objects of these replicas were seen in another storage class than recorded, or where it is the recorded one, not
-- restored any more.
UPDATE replicas r
SET storage_class = n.storage_class, tier = n.tier, readable_until = NULL,
    tier_since = CASE WHEN r.storage_class IS DISTINCT FROM n.storage_class THEN :now ELSE r.tier_since END
FROM json_to_recordset(:rows::json) AS n (
    segment_id uuid, start_time timestamptz, store text, path text, storage_class text, tier text)
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store AND r.path = n.path
  AND r.start_time BETWEEN :first_start AND :last_start;

-- name: suspect_replicas!
-- These replicas were not found as recorded, where they still are said to be. Other copies of their segments are not to
-- leave on the strength of them, until they are good again.
WITH suspects AS (
    UPDATE replicas r SET state = 'suspicious', suspected_at = statement_timestamp()
    FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text, path text)
    WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store AND r.path = n.path
      AND r.state = 'available'
      AND r.start_time BETWEEN :first_start AND :last_start
    RETURNING r.segment_id, r.start_time
)
UPDATE replicas r SET retire_after = NULL, retires_again = true
FROM suspects
WHERE r.segment_id = suspects.segment_id AND r.start_time = suspects.start_time AND r.retire_after IS NOT NULL
  AND r.state = 'available' AND r.start_time BETWEEN :first_start AND :last_start
  AND NOT EXISTS (
      SELECT FROM json_to_recordset(:rows::json) AS n (segment_id uuid, store text)
      WHERE n.segment_id = r.segment_id AND n.store = r.store);
