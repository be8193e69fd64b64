-- name: condemn_replicas
-- Take replicas from the readers and decide their deletion, as far as they are where they are said to be and not condemned
-- yet. suspected_at stays for those that were doubted: sparing them does not make them good.
WITH taken AS (
    UPDATE replicas r
    SET state = 'condemned',
        suspected_at = CASE WHEN r.state = 'available' THEN NULL ELSE coalesce(r.suspected_at, :now::timestamptz) END
    FROM json_to_recordset(:rows::json) AS n (
        segment_id uuid, start_time timestamptz, store text, path text, reason text)
    WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store AND r.path = n.path
      AND r.state <> 'condemned' AND r.start_time BETWEEN :first_start AND :last_start
    RETURNING r.store, r.path, r.segment_id, r.start_time, n.reason, r.size_bytes
)
INSERT INTO condemnations AS c (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, delete_after)
SELECT store, path, segment_id, start_time, reason, size_bytes, :run_id, :now, :delete_after FROM taken
ON CONFLICT (store, path) DO UPDATE SET
    segment_id = excluded.segment_id, start_time = excluded.start_time, reason = excluded.reason,
    size_bytes = excluded.size_bytes, run_id = excluded.run_id, condemned_at = excluded.condemned_at,
    delete_after = excluded.delete_after, error = NULL
RETURNING c.segment_id, c.start_time, c.store;

-- name: condemn_objects!
-- Decide the deletion of objects that are no replicas. What is condemned already stays as it is.
INSERT INTO condemnations (store, path, segment_id, start_time, reason, size_bytes, modified_at, run_id, condemned_at,
                           delete_after)
SELECT store, path, segment_id, start_time, reason, size_bytes, modified_at, :run_id, :now, :delete_after
FROM json_to_recordset(:rows::json) AS n (
    store text, path text, segment_id uuid, start_time timestamptz, reason text, size_bytes bigint,
    modified_at timestamptz)
ORDER BY store, path
ON CONFLICT (store, path) DO NOTHING;

-- name: claim_condemned
-- What is due in a store, behind the last that was seen, for one worker until its transaction ends; what others hold is
-- passed over.
SELECT store, path, segment_id, start_time, reason, size_bytes, modified_at, run_id, condemned_at, delete_after
FROM condemnations
WHERE store = :store AND delete_after <= :now AND (delete_after, path) > (:after::timestamptz, :after_path)
  AND reason = ANY (:reasons::text[]) AND (:condemned_by::text IS NULL OR run_id = :condemned_by)
ORDER BY delete_after, path
LIMIT :limit
FOR UPDATE SKIP LOCKED;

-- name: condemned_due
-- How much is due in a store.
SELECT count(*) AS objects, coalesce(sum(size_bytes), 0)::bigint AS size_bytes
FROM condemnations
WHERE store = :store AND delete_after <= :now
  AND reason = ANY (:reasons::text[]) AND (:condemned_by::text IS NULL OR run_id = :condemned_by);

-- name: catalogue_clock
-- What time it is.
SELECT clock_timestamp() AS now;

-- name: stay_connected
-- For this transaction, which waits for stores: not cut off as idle, and probed often enough that no firewall forgets it.
SELECT set_config('idle_in_transaction_session_timeout', '0', true) AS idle,
       set_config('tcp_keepalives_idle', '30', true) AS keepalives;

-- name: promise_to_locks
-- Let no lock be placed while a chunk of deletions is under way: whoever places one waits for the end of this transaction,
-- and what comes after sees it.
SELECT pg_advisory_xact_lock_shared(hashtextextended('reelkeeper locks ' || current_schema(), 0));

-- name: take_turns_moving
-- One chunk at a time that deletes what was moved in a store: each deletes one of two places, and must find the other one.
SELECT pg_advisory_xact_lock(hashtextextended('reelkeeper moved ' || current_schema() || ' ' || :store, 0));

-- name: hold_condemned_replicas
-- The replicas that stand condemned at these paths, which nobody changes until the transaction ends.
SELECT r.*
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, path text)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.path = n.path
WHERE r.store = :store AND r.state = 'condemned' AND r.start_time BETWEEN :first_start AND :last_start
ORDER BY r.start_time, r.segment_id
FOR UPDATE OF r;

-- name: hold_good_copies
-- The available replicas of these segments, which nobody suspects or condemns until the transaction ends.
SELECT r.*
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time
WHERE r.state = 'available' AND r.start_time BETWEEN :first_start AND :last_start
ORDER BY r.start_time, r.segment_id, r.store
FOR SHARE OF r;

-- name: footage_of_segments
-- How long these segments are kept, which nobody changes until the transaction ends, and whether one is being copied: open
-- items count until a plan would take them over.
SELECT s.id AS segment_id, s.camera_id, s.start_time, s.end_time, s.created_at, c.retention_days,
       EXISTS (SELECT FROM transfer_items i
               WHERE i.segment_id = s.id AND i.state IN ('pending', 'claimed')
                 AND (i.updated_at > statement_timestamp() - :stale_after OR i.claimed_until > statement_timestamp()))
       AS transfer_under_way
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
JOIN segments s ON s.id = n.segment_id AND s.start_time = n.start_time
JOIN cameras c ON c.id = s.camera_id
WHERE s.start_time BETWEEN :first_start AND :last_start
FOR SHARE OF c;

-- name: known_paths
-- Which of these paths of a store the catalogue knows: as a replica's or a thumbnail's, which is found by the segments
-- that the paths name.
SELECT path FROM replicas WHERE store = :store AND path = ANY (:paths::text[])
UNION
SELECT path FROM thumbnails
WHERE segment_id = ANY (:segment_ids::uuid[]) AND store = :store AND path = ANY (:paths::text[]);

-- name: insert_deletions!
-- The history of what is gone.
INSERT INTO deletions (store, path, segment_id, start_time, reason, size_bytes, checksum, run_id, condemned_at, deleted_at)
SELECT store, path, segment_id, start_time, reason, size_bytes, checksum, run_id, condemned_at, deleted_at
FROM json_to_recordset(:rows::json) AS n (
    store text, path text, segment_id uuid, start_time timestamptz, reason text, size_bytes bigint, checksum text,
    run_id text, condemned_at timestamptz, deleted_at timestamptz);

-- name: drop_condemnations!
-- These are settled: deleted, or spared.
DELETE FROM condemnations c
USING unnest(:paths::text[]) AS gone (path)
WHERE c.store = :store AND c.path = gone.path;

-- name: postpone_condemned!
-- Why these still stand.
UPDATE condemnations c SET error = n.error
FROM json_to_recordset(:rows::json) AS n (path text, error text)
WHERE c.store = :store AND c.path = n.path;

-- name: drop_condemned_replicas!
-- Forget replicas whose objects are gone.
DELETE FROM replicas r
USING json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, path text)
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = :store AND r.path = n.path
  AND r.state = 'condemned' AND r.start_time BETWEEN :first_start AND :last_start;

-- name: hold_segments
-- The segments, which get no replica until the transaction ends. In order: two workers that forget the last two replicas of
-- a segment wait for one another here, and the second finds that it is the last.
SELECT s.id
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
JOIN segments s ON s.id = n.segment_id AND s.start_time = n.start_time
WHERE s.start_time BETWEEN :first_start AND :last_start
ORDER BY s.start_time, s.id
FOR UPDATE OF s;

-- name: drop_empty_segments
-- Forget those of these segments that have no replica left, with what hangs on them; their thumbnails are condemned.
WITH empty AS (
    SELECT s.id, s.start_time
    FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
    JOIN segments s ON s.id = n.segment_id AND s.start_time = n.start_time
    WHERE s.start_time BETWEEN :first_start AND :last_start
      AND NOT EXISTS (SELECT FROM replicas r
                      WHERE r.segment_id = s.id AND r.start_time = s.start_time
                        AND r.start_time BETWEEN :first_start AND :last_start)
), pictures AS (
    DELETE FROM thumbnails t USING empty
    WHERE t.segment_id = empty.id AND t.start_time = empty.start_time
      AND t.start_time BETWEEN :first_start AND :last_start
    RETURNING t.store, t.path, t.segment_id, t.start_time
), requests AS (
    DELETE FROM migration_requests q USING empty WHERE q.segment_id = empty.id
), condemned AS (
    INSERT INTO condemnations (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, delete_after)
    SELECT store, path, segment_id, start_time, 'thumbnail', 0, :run_id, :now, :now FROM pictures
    ON CONFLICT (store, path) DO NOTHING
)
SELECT id AS segment_id, start_time FROM empty;

-- name: drop_segments!
-- Forget segments that have no replica left.
DELETE FROM segments s
USING json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
WHERE s.id = n.segment_id AND s.start_time = n.start_time AND s.start_time BETWEEN :first_start AND :last_start;

-- name: drop_thumbnails!
-- Forget thumbnails whose objects are gone.
DELETE FROM thumbnails t
USING json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, path text)
WHERE t.segment_id = n.segment_id AND t.start_time = n.start_time AND t.store = :store AND t.path = n.path
  AND t.start_time BETWEEN :first_start AND :last_start;

-- name: drop_quarantined_orphans!
-- Forget orphans whose objects are gone, by where they lay in quarantine.
DELETE FROM orphans WHERE store = :store AND quarantine_path = ANY (:paths::text[]);

-- name: hold_condemnations
-- Condemnations at these paths, which nobody deletes or spares until the transaction ends.
SELECT store, path, segment_id, start_time, reason, size_bytes, modified_at, run_id, condemned_at, delete_after
FROM condemnations
WHERE store = :store AND path = ANY (:paths::text[])
ORDER BY delete_after, path
FOR UPDATE;

-- name: met_condemnations
-- Which of these places stand condemned, or did when we asked: who deletes there is waited for.
WITH met AS MATERIALIZED (
    SELECT c.store, c.path
    FROM json_to_recordset(:rows::json) AS n (store text, path text)
    JOIN condemnations c ON c.store = n.store AND c.path = n.path
), held AS MATERIALIZED (
    SELECT c.path
    FROM json_to_recordset(:rows::json) AS n (store text, path text)
    JOIN condemnations c ON c.store = n.store AND c.path = n.path
    ORDER BY c.delete_after, c.path
    FOR UPDATE OF c
)
SELECT store, path FROM met WHERE (SELECT count(*) FROM held) >= 0;

-- name: spare_replicas!
-- Condemned replicas that stay: the good ones are available again, the others suspicious.
UPDATE replicas r
SET state = CASE WHEN n.is_good AND r.suspected_at IS NULL AND r.verified_at IS NOT NULL THEN 'available'
                 ELSE 'suspicious' END,
    seen_at = CASE WHEN n.is_good THEN :now ELSE r.seen_at END,
    suspected_at = CASE WHEN n.is_good AND r.suspected_at IS NULL AND r.verified_at IS NOT NULL THEN NULL
                        ELSE coalesce(r.suspected_at, :now::timestamptz) END
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, path text, is_good boolean)
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = :store AND r.path = n.path
  AND r.state = 'condemned' AND r.start_time BETWEEN :first_start AND :last_start;
