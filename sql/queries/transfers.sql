-- name: abandon_stale_items!
-- Give up the items that another run left open (untouched for a time, under no lease), and, where the destination is the
-- one that requests are for, request their segments anew.
WITH abandoned AS (
    UPDATE transfer_items i SET state = 'abandoned', claimed_until = NULL, updated_at = statement_timestamp()
    FROM batches b
    WHERE b.id = i.batch_id AND b.run_id <> :run_id
      AND i.destination_store = :destination_store
      AND i.state IN ('pending', 'claimed')
      AND i.updated_at < statement_timestamp() - :stale_after
      AND (i.claimed_until IS NULL OR i.claimed_until < statement_timestamp())
    RETURNING i.segment_id, i.start_time
)
INSERT INTO migration_requests (segment_id, start_time, priority, reason)
SELECT segment_id, start_time, :priority, 'abandoned' FROM abandoned WHERE :serves_requests
ORDER BY segment_id
ON CONFLICT (segment_id) DO NOTHING;

-- name: drop_answered_requests!
-- Forget the requests whose segment has reached the destination, or is gone. OFFSET 0 keeps the planner from joining
-- with all months at once: each request looks into its own.
DELETE FROM migration_requests q
WHERE EXISTS (SELECT FROM replicas r
              WHERE r.segment_id = q.segment_id AND r.start_time = q.start_time
                AND r.store = :destination_store AND r.state = 'available' OFFSET 0)
   OR NOT EXISTS (SELECT FROM segments s WHERE s.id = q.segment_id AND s.start_time = q.start_time OFFSET 0);

-- name: prepare_planning
-- For this transaction, join partitioned tables month by month, each in memory, and compile nothing: a plan without an
-- interval joins all months.
SELECT set_config('enable_partitionwise_join', 'on', true) AS partitionwise,
       set_config('work_mem', '64MB', true) AS memory,
       set_config('jit', 'off', true) AS jit;

-- name: plan_transfer_batches
-- Put the segments that are to be copied into new batches. One row for each batch; those beyond max_batches and those of
-- a dry run are counted only. Before the run's own interval lies a time that it catches up on; both bound segments and
-- replicas alike, so that other months are not looked at; with OFFSET 0 each request looks into its own month. What is
-- not of the interval and has failed lately rests, so that it does not fail every run. What must be restored at its
-- source before it can be read is left for a run after its restore.
WITH wanted AS (
    SELECT s.id AS segment_id, s.start_time, s.size_bytes, s.start_time >= :interval_start::timestamptz AS is_own,
           CASE WHEN s.start_time >= :interval_start::timestamptz THEN :interval_priority ELSE :catch_up_priority
           END::smallint AS priority
    FROM segments s
    WHERE s.start_time >= :catch_up_start::timestamptz AND s.start_time < :interval_end::timestamptz
      AND s.rollout_bucket < :bucket_below
      AND s.end_time <= CASE WHEN s.start_time >= :interval_start::timestamptz THEN :ended_before::timestamptz
                        ELSE :rest_ended_before::timestamptz END
      AND (s.start_time >= :interval_start::timestamptz
           OR NOT EXISTS (SELECT FROM migration_requests q WHERE q.segment_id = s.id))
      AND EXISTS (SELECT FROM replicas r
                  WHERE r.segment_id = s.id AND r.start_time = s.start_time
                    AND r.start_time >= :catch_up_start::timestamptz AND r.start_time < :interval_end::timestamptz
                    AND r.store = :source_store AND r.state = 'available'
                    AND (coalesce(r.storage_class, '') <> ALL (:archives::text[])
                         OR r.readable_until > statement_timestamp()))
      AND NOT EXISTS (SELECT FROM replicas r
                      WHERE r.segment_id = s.id AND r.start_time = s.start_time
                        AND r.start_time >= :catch_up_start::timestamptz AND r.start_time < :interval_end::timestamptz
                        AND r.store = :destination_store AND r.state IN ('available', 'condemned'))
    UNION ALL
    SELECT s.id, s.start_time, s.size_bytes, false, q.priority
    FROM migration_requests q
    CROSS JOIN LATERAL (
        SELECT id, start_time, size_bytes
        FROM segments
        WHERE id = q.segment_id AND start_time = q.start_time
          AND rollout_bucket < :bucket_below AND end_time <= :rest_ended_before
          AND EXISTS (SELECT FROM replicas r
                      WHERE r.segment_id = q.segment_id AND r.start_time = q.start_time
                        AND r.store = :source_store AND r.state = 'available'
                        AND (coalesce(r.storage_class, '') <> ALL (:archives::text[])
                             OR r.readable_until > statement_timestamp()))
          AND NOT EXISTS (SELECT FROM replicas r
                          WHERE r.segment_id = q.segment_id AND r.start_time = q.start_time
                            AND r.store = :destination_store AND r.state IN ('available', 'condemned'))
        OFFSET 0) s
    WHERE :include_requests
      AND NOT (q.start_time >= :interval_start::timestamptz AND q.start_time < :interval_end::timestamptz)
), numbered AS (
    SELECT w.*, batch_number(w.size_bytes, :batch_size, :batch_bytes)
                OVER (ORDER BY w.priority, w.start_time, w.segment_id ROWS UNBOUNDED PRECEDING) AS number
    FROM wanted w
    WHERE NOT EXISTS (SELECT FROM transfer_items i
                      WHERE i.segment_id = w.segment_id AND i.destination_store = :destination_store
                        AND i.state IN ('pending', 'claimed'))
      AND (w.is_own OR NOT EXISTS (SELECT FROM transfer_items i
                                   WHERE i.segment_id = w.segment_id AND i.destination_store = :destination_store
                                     AND i.state = 'failed' AND i.updated_at > statement_timestamp() - :failed_rest))
), new_batches AS MATERIALIZED (
    SELECT number, gen_random_uuid() AS id, count(*) AS item_count, sum(size_bytes)::bigint AS size_bytes,
           number < :max_batches AS fits
    FROM numbered GROUP BY number
), inserted_batches AS (
    INSERT INTO batches (id, job, run_id, store, number, item_count, size_bytes)
    SELECT id, 'migrate', :run_id, :destination_store, number, item_count, size_bytes
    FROM new_batches WHERE fits AND NOT :dry_run
), inserted_items AS (
    INSERT INTO transfer_items (batch_id, segment_id, start_time, source_store, destination_store, size_bytes, priority)
    SELECT b.id, n.segment_id, n.start_time, :source_store, :destination_store, n.size_bytes, n.priority
    FROM numbered n JOIN new_batches b USING (number)
    WHERE b.fits AND NOT :dry_run
)
SELECT item_count, size_bytes, fits FROM new_batches ORDER BY number;

-- name: archived_transfer_sources
-- How many segments a plan would take, but for their sources, which must be restored before they can be read.
WITH archived AS (
    SELECT s.id AS segment_id, s.start_time, s.end_time,
           s.start_time >= :interval_start::timestamptz AND s.start_time < :interval_end::timestamptz AS is_own
    FROM replicas r
    JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
    WHERE r.store = :source_store AND r.state = 'available' AND r.storage_class = ANY (:archives::text[])
      AND (r.readable_until IS NULL OR r.readable_until <= statement_timestamp())
      AND s.rollout_bucket < :bucket_below
)
SELECT count(*) AS segments
FROM archived a
WHERE (a.start_time >= :catch_up_start::timestamptz AND a.start_time < :interval_end::timestamptz
       OR :include_requests AND EXISTS (SELECT FROM migration_requests q WHERE q.segment_id = a.segment_id))
  AND a.end_time <= CASE WHEN a.is_own THEN :ended_before::timestamptz ELSE :rest_ended_before::timestamptz END
  AND NOT EXISTS (SELECT FROM replicas d
                  WHERE d.segment_id = a.segment_id AND d.start_time = a.start_time
                    AND d.store = :destination_store AND d.state IN ('available', 'condemned'));

-- name: open_transfer_batches
-- The batches of a run that have open items, in the order planned, with what is open in each.
SELECT b.id, b.job, b.run_id, b.zone, b.store, b.item_count, b.size_bytes,
       i.open_items, i.open_bytes
FROM batches b
CROSS JOIN LATERAL (
    SELECT count(*) AS open_items, sum(size_bytes)::bigint AS open_bytes
    FROM transfer_items i WHERE i.batch_id = b.id AND i.state IN ('pending', 'claimed')) i
WHERE b.job = 'migrate' AND b.run_id = :run_id AND b.store = :destination_store AND i.open_items > 0
ORDER BY b.created_at, b.number;

-- name: claim_transfer_items
-- Claim open items of a batch for one worker, passing over those that others claim at this moment.
WITH taken AS (
    SELECT segment_id
    FROM transfer_items
    WHERE batch_id = :batch_id
      AND (state = 'pending' OR state = 'claimed' AND claimed_until < statement_timestamp())
    ORDER BY priority, start_time, segment_id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE transfer_items i
SET state = 'claimed', attempts = i.attempts + 1, claimed_until = statement_timestamp() + :lease,
    updated_at = statement_timestamp()
FROM taken
WHERE i.batch_id = :batch_id AND i.segment_id = taken.segment_id
RETURNING i.batch_id, i.segment_id, i.start_time, i.source_store, i.destination_store, i.priority, i.attempts;

-- name: transfer_details
-- What an engine needs to copy segments, and whether each can and need still be copied.
SELECT n.segment_id, s.size_bytes, s.checksum, s.extension, c.tenant, c.slug, c.retention_days,
       source.path AS source_path, destination.segment_id IS NOT NULL AS is_there
FROM json_to_recordset(:rows::json) AS n (
    segment_id uuid, start_time timestamptz, source_store text, destination_store text)
JOIN segments s ON s.id = n.segment_id AND s.start_time = n.start_time
JOIN cameras c ON c.id = s.camera_id
JOIN replicas source ON source.segment_id = n.segment_id AND source.start_time = n.start_time
    AND source.store = n.source_store AND source.state = 'available'
LEFT JOIN replicas destination ON destination.segment_id = n.segment_id AND destination.start_time = n.start_time
    AND destination.store = n.destination_store AND destination.state = 'available'
    AND destination.start_time BETWEEN :first_start AND :last_start
WHERE s.start_time BETWEEN :first_start AND :last_start
  AND source.start_time BETWEEN :first_start AND :last_start;

-- name: extend_transfer_claims!
-- Renew the lease of items that the same claim still holds.
UPDATE transfer_items i SET claimed_until = statement_timestamp() + :lease, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, attempts integer)
WHERE i.batch_id = :batch_id AND i.segment_id = n.segment_id AND i.state = 'claimed' AND i.attempts = n.attempts;

-- name: complete_transfer_items!
-- The segments have arrived: their open items are done, in whichever batch they are by now.
UPDATE transfer_items i
SET state = 'done', claimed_until = NULL, error_code = NULL, error = NULL, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, destination_store text)
WHERE i.segment_id = n.segment_id AND i.destination_store = n.destination_store AND i.state IN ('pending', 'claimed');

-- name: return_transfer_items!
-- Items that were not copied fail, or go back to pending, if the same claim still holds them.
UPDATE transfer_items i
SET state = n.state, claimed_until = NULL, error_code = coalesce(n.error_code, i.error_code),
    error = coalesce(n.error, i.error), updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (
    batch_id uuid, segment_id uuid, attempts integer, state text, error_code text, error text)
WHERE i.batch_id = n.batch_id AND i.segment_id = n.segment_id AND i.state = 'claimed' AND i.attempts = n.attempts;

-- name: insert_transfers!
-- Add attempts to the history.
INSERT INTO transfers (segment_id, start_time, job, batch_id, source_store, destination_store, outcome, fallback,
                       error_code, error, size_bytes, started_at, finished_at)
SELECT segment_id, start_time, job, batch_id, source_store, destination_store,
       CASE WHEN error_code IS NULL THEN 'succeeded' ELSE 'failed' END, fallback,
       error_code, error, size_bytes, started_at, finished_at
FROM json_to_recordset(:rows::json) AS n (
    segment_id uuid, start_time timestamptz, job text, batch_id uuid, source_store text, destination_store text,
    fallback boolean, error_code text, error text, size_bytes bigint, started_at timestamptz, finished_at timestamptz);

-- name: request_segments!
-- Ask the next migration to take segments; the more urgent request of a segment stays.
INSERT INTO migration_requests AS q (segment_id, start_time, priority, reason)
SELECT segment_id, start_time, priority, reason
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, priority smallint, reason text)
ORDER BY segment_id
ON CONFLICT (segment_id) DO UPDATE SET priority = excluded.priority, reason = excluded.reason
    WHERE excluded.priority < q.priority;

-- name: answer_requests!
-- Forget the requests of segments that have arrived.
DELETE FROM migration_requests q WHERE q.segment_id = ANY (:segment_ids::uuid[]);

-- name: transfer_counts
-- How far batches are.
SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
       count(*) FILTER (WHERE state = 'claimed') AS claimed,
       count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'abandoned') AS abandoned,
       coalesce(sum(size_bytes) FILTER (WHERE state = 'done'), 0)::bigint AS bytes_done
FROM transfer_items
WHERE batch_id = ANY (:batch_ids::uuid[]);

-- name: archived_copies
-- How many of the replicas that batches have made must be restored before they can be read.
SELECT count(*) AS replicas
FROM transfer_items i
JOIN replicas r ON r.segment_id = i.segment_id AND r.start_time = i.start_time AND r.store = i.destination_store
WHERE i.batch_id = ANY (:batch_ids::uuid[]) AND i.state = 'done' AND r.storage_class = ANY (:archives::text[]);

-- name: transfer_failures
-- Items that failed for good.
SELECT batch_id, segment_id, start_time, source_store, destination_store, size_bytes, attempts, error_code, error
FROM transfer_items
WHERE batch_id = ANY (:batch_ids::uuid[]) AND state = 'failed'
ORDER BY start_time, segment_id
LIMIT :limit;

-- name: done_transfer_items
-- The items of a batch that are done.
SELECT segment_id, start_time, destination_store
FROM transfer_items
WHERE batch_id = :batch_id AND state = 'done'
ORDER BY start_time, segment_id;
