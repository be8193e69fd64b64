-- name: lose_replicas
-- Doubted replicas that another look did not find either are lost. One row for each.
UPDATE replicas r SET state = 'lost', suspected_at = coalesce(r.suspected_at, :now)
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text, path text)
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store AND r.path = n.path
  AND r.state = 'suspicious' AND r.start_time BETWEEN :first_start AND :last_start
RETURNING r.segment_id;

-- name: heal_replicas
-- Doubted replicas whose bytes were read and are right are available again. One row for each.
UPDATE replicas r SET state = 'available', verified_at = :now, seen_at = :now, suspected_at = NULL
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text, path text)
WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store AND r.path = n.path
  AND r.state IN ('suspicious', 'lost') AND r.start_time BETWEEN :first_start AND :last_start
RETURNING r.segment_id;

-- name: left_behind_after
-- The next old objects in a store of moved replicas that are doubted or lost where they are now, where the store has no
-- other object of the segment that is good or to be deleted.
SELECT c.path, s.id AS segment_id, s.start_time, s.size_bytes, s.checksum
FROM condemnations c
JOIN segments s ON s.id = c.segment_id AND s.start_time = c.start_time
WHERE c.store = :store AND c.reason = 'moved' AND c.path > :after_path
  AND EXISTS (SELECT FROM replicas r WHERE r.segment_id = c.segment_id AND r.start_time = c.start_time
                                       AND r.state IN ('suspicious', 'lost'))
  AND NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = c.segment_id AND r.start_time = c.start_time
                                           AND r.store = c.store AND r.state IN ('available', 'condemned'))
ORDER BY c.path
LIMIT :limit;

-- name: move_lost_replica!
-- A lost replica's damaged object lies elsewhere now, and its row with it, until it is repaired.
UPDATE replicas r SET path = :moved_to
WHERE r.segment_id = :segment_id AND r.start_time = :start_time AND r.store = :store AND r.path = :path
  AND r.state = 'lost';

-- name: lost_replicas_after
-- The next lost replicas of a store that have an available copy in one of these stores which can be read now.
SELECT r.*
FROM replicas r
WHERE r.store = :store AND r.state = 'lost' AND (r.start_time, r.segment_id) > (:after_start::timestamptz, :after_id::uuid)
  AND EXISTS (SELECT FROM replicas c
              WHERE c.segment_id = r.segment_id AND c.start_time = r.start_time AND c.store = ANY (:stores::text[])
                AND c.store <> r.store AND c.state = 'available'
                AND (coalesce(c.storage_class, '') <> ALL (:archives::text[]) OR c.readable_until > :now))
ORDER BY r.start_time, r.segment_id
LIMIT :limit;

-- name: plan_repair_batches
-- Put the lost replicas of a store into batches that copy them anew, each batch from one of these stores: the first that
-- has an available copy which can be read now. What failed lately rests. One row for each batch.
WITH wanted AS (
    SELECT r.segment_id, r.start_time, s.size_bytes, source.store AS source_store
    FROM replicas r
    JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
    CROSS JOIN LATERAL (
        SELECT c.store
        FROM replicas c
        WHERE c.segment_id = r.segment_id AND c.start_time = r.start_time AND c.store = ANY (:stores::text[])
          AND c.store <> r.store AND c.state = 'available'
          AND (coalesce(c.storage_class, '') <> ALL (:archives::text[]) OR c.readable_until > :now)
        ORDER BY array_position(:stores::text[], c.store)
        LIMIT 1) source
    WHERE r.store = :store AND r.state = 'lost'
      AND NOT EXISTS (SELECT FROM transfer_items i
                      WHERE i.segment_id = r.segment_id AND i.destination_store = :store
                        AND (i.state IN ('pending', 'claimed')
                             OR i.state = 'failed' AND i.updated_at > statement_timestamp() - :failed_rest::interval))
), split AS (
    SELECT w.*, batch_number(w.size_bytes, :batch_size, :batch_bytes)
                OVER (PARTITION BY w.source_store ORDER BY w.start_time, w.segment_id ROWS UNBOUNDED PRECEDING) AS part
    FROM wanted w
), numbered AS (
    SELECT split.*, (dense_rank() OVER (ORDER BY source_store, part) - 1)::integer AS number FROM split
), new_batches AS MATERIALIZED (
    SELECT number, gen_random_uuid() AS id, count(*) AS item_count, sum(size_bytes)::bigint AS size_bytes
    FROM numbered WHERE number < :max_batches GROUP BY number
), inserted_batches AS (
    INSERT INTO batches (id, job, run_id, store, number, item_count, size_bytes)
    SELECT id, 'repair', :run_id, :store, number, item_count, size_bytes FROM new_batches
)
INSERT INTO transfer_items (batch_id, segment_id, start_time, source_store, destination_store, size_bytes, priority)
SELECT b.id, n.segment_id, n.start_time, n.source_store, :store, n.size_bytes, 0
FROM numbered n JOIN new_batches b USING (number)
RETURNING batch_id;

-- name: open_repair_batches
-- The repair batches of a run for a store that have open items, in the order planned, with what is open in each.
SELECT b.id, b.job, b.run_id, b.zone, b.store, b.item_count, b.size_bytes, i.open_items, i.open_bytes
FROM batches b
CROSS JOIN LATERAL (
    SELECT count(*) AS open_items, sum(size_bytes)::bigint AS open_bytes
    FROM transfer_items i WHERE i.batch_id = b.id AND i.state IN ('pending', 'claimed')) i
WHERE b.job = 'repair' AND b.run_id = :run_id AND b.store = :store AND i.open_items > 0
ORDER BY b.created_at, b.number;
