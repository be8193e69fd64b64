-- name: deletions_of_run
-- What a run deleted, by store and reason.
SELECT store, reason, count(*) AS objects, sum(size_bytes)::bigint AS size_bytes
FROM deletions
WHERE run_id = :run_id AND deleted_at >= :since
GROUP BY store, reason ORDER BY store, reason;

-- name: condemned_by_run
-- What a run condemned and is not deleted yet, by store and reason.
SELECT store, reason, count(*) AS objects, sum(size_bytes)::bigint AS size_bytes
FROM condemnations
WHERE run_id = :run_id
GROUP BY store, reason ORDER BY store, reason;

-- name: condemned_where
-- Condemned replicas, thumbnails and objects that were asked back, behind a path: by segment, camera or the run that
-- condemned them.
SELECT d.store, d.path, d.segment_id, d.start_time, d.reason, d.size_bytes, d.modified_at, d.run_id, d.condemned_at,
       d.delete_after
FROM condemnations d
WHERE d.store = :store AND d.path > :after_path
  AND (:segment_id::uuid IS NULL OR d.segment_id = :segment_id::uuid)
  AND (:run_id::text IS NULL OR d.run_id = :run_id)
  AND (:camera_id::uuid IS NULL OR EXISTS (
      SELECT FROM segments s
      WHERE s.id = d.segment_id AND s.start_time = d.start_time AND s.camera_id = :camera_id::uuid))
  AND d.reason IN ('expired', 'retired', 'quota', 'thumbnail')
ORDER BY d.path
LIMIT :limit;

-- name: drop_finished_batches
-- Forget old batches of which nothing is open, with their items.
WITH finished AS (
    SELECT b.id FROM batches b
    WHERE b.created_at < :history_from
      AND NOT EXISTS (SELECT FROM transfer_items i WHERE i.batch_id = b.id AND i.state IN ('pending', 'claimed'))
      AND NOT EXISTS (SELECT FROM tier_moves m WHERE m.batch_id = b.id AND m.state IN ('pending', 'claimed'))
      AND NOT EXISTS (SELECT FROM landing_files f WHERE f.batch_id = b.id AND f.state IN ('pending', 'claimed'))
), gone AS (DELETE FROM batches b USING finished WHERE b.id = finished.id RETURNING b.id)
SELECT count(*) AS rows FROM gone;

-- name: drop_gone_landing_files
-- Forget files that left their zone long ago: taken from a zone that keeps none, or put into its quarantine. The files of
-- other zones are still there, and would be ingested again.
WITH gone AS (
    DELETE FROM landing_files
    WHERE zone = ANY (:zones::text[]) AND updated_at < :history_from
      AND (state IN ('ingested', 'duplicate') OR (state = 'quarantined' AND moved_to IS NOT NULL))
    RETURNING zone)
SELECT count(*) AS rows FROM gone;

-- name: drop_ended_restores
-- Forget restores that ended long ago.
WITH gone AS (
    DELETE FROM restores
    WHERE state IN ('ended', 'failed')
      AND coalesce(readable_until, requested_at, planned_at) < :history_from
    RETURNING id)
SELECT count(*) AS rows FROM gone;
