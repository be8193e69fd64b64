-- What the history of transfers must be. `looked` are those that are looked at; each query gives the rows that are wrong.
-- A transfer of today may be of footage of any month: OFFSET 0 has its segment and its replica looked up one by one, where
-- PostgreSQL would else read through all that there are.

-- name: transfer_fields
-- Transfers that lack what is required, or that say what cannot be; `fields` names which.
SELECT t.id AS transfer_id, t.segment_id, t.destination_store, t.finished_at, wrong.fields
FROM looked t
CROSS JOIN LATERAL (SELECT concat_ws(' ',
    CASE WHEN t.job IS NULL OR t.job NOT IN ('ingest', 'migrate', 'repair', 'tier') THEN 'job' END,
    CASE WHEN t.outcome IS NULL OR t.outcome NOT IN ('succeeded', 'failed') THEN 'outcome' END,
    CASE WHEN (t.error_code IS NOT NULL) <> (t.outcome = 'failed') THEN 'error_code' END,
    CASE WHEN coalesce(t.destination_store, '') = '' OR t.destination_store = t.source_store
         THEN 'destination_store' END,
    CASE WHEN t.started_at IS NULL OR t.started_at > t.finished_at THEN 'started_at' END,
    CASE WHEN t.finished_at > :now + :clock_tolerance THEN 'finished_at' END) AS fields) wrong
WHERE wrong.fields <> ''
ORDER BY t.finished_at, t.id;

-- name: transfer_sizes
-- Transfers that succeeded with another number of bytes than their segment has.
SELECT t.id AS transfer_id, t.segment_id, t.destination_store, t.finished_at, t.size_bytes,
       s.size_bytes AS expected_bytes
FROM looked t
LEFT JOIN LATERAL (SELECT size_bytes FROM segments
                   WHERE id = t.segment_id AND start_time = t.start_time OFFSET 0) s ON true
WHERE t.outcome = 'succeeded' AND (t.size_bytes <= 0 OR t.size_bytes <> s.size_bytes)
ORDER BY t.finished_at, t.id;

-- name: transfer_results
-- Transfers that succeeded and left no replica, although their segment is there and the copy was not deleted since.
SELECT t.id AS transfer_id, t.segment_id, t.start_time, t.destination_store, t.finished_at
FROM looked t
WHERE t.outcome = 'succeeded'
  AND NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = t.segment_id AND r.start_time = t.start_time
                                           AND r.store = t.destination_store OFFSET 0)
  AND NOT EXISTS (SELECT FROM deletions d WHERE d.segment_id = t.segment_id AND d.store = t.destination_store
                                            AND d.deleted_at >= t.started_at OFFSET 0)
  AND EXISTS (SELECT FROM segments s WHERE s.id = t.segment_id AND s.start_time = t.start_time OFFSET 0)
ORDER BY t.finished_at, t.id;

-- name: transfer_queue
-- Transfers that were planned, and that nobody has touched for too long.
SELECT i.batch_id, i.segment_id, i.start_time, i.destination_store, i.state, i.attempts, i.updated_at
FROM looked i
WHERE i.updated_at < :now - :stuck_after
ORDER BY i.updated_at, i.segment_id;
