-- What the expectations look at: great-expectations puts one of these in the place of `looked` in a query of the other
-- files. Footage and history are named by one range, [first, last), within a month of the past: by its ends PostgreSQL
-- knows which partition to read before it begins, and that a range is little of it.

-- name: looked_segments
-- The segments that start in the range.
SELECT s.id, s.camera_id, s.start_time, s.end_time, s.duration_seconds, s.size_bytes, s.checksum, s.extension, s.container,
       s.video_codec, s.width, s.height, s.frame_rate, s.has_audio, s.rollout_bucket, s.storage_backend, s.storage_path,
       s.created_at
FROM segments s
WHERE s.start_time >= :first AND s.start_time < :last;

-- name: ingested_segments
-- The segments that a run of ingest took in; all of them start in the range.
SELECT s.id, s.camera_id, s.start_time, s.end_time, s.duration_seconds, s.size_bytes, s.checksum, s.extension, s.container,
       s.video_codec, s.width, s.height, s.frame_rate, s.has_audio, s.rollout_bucket, s.storage_backend, s.storage_path,
       s.created_at
FROM batches b
JOIN landing_files f ON f.batch_id = b.id AND f.state = 'ingested'
JOIN segments s ON s.id = f.segment_id AND s.start_time = f.start_time
WHERE b.job = 'ingest' AND b.run_id = :run_id AND s.start_time >= :first AND s.start_time < :last;

-- name: looked_replicas
-- The replicas of the segments that start in the range, with what their segment says of its bytes.
SELECT r.segment_id, r.store, r.start_time, r.path, r.size_bytes, r.checksum, r.state, r.tier, r.verified_at,
       s.size_bytes AS segment_bytes, s.checksum AS segment_checksum
FROM segments s
JOIN replicas r ON r.segment_id = s.id AND r.start_time = s.start_time
WHERE s.start_time >= :first AND s.start_time < :last AND r.start_time >= :first AND r.start_time < :last;

-- name: ingested_replicas
-- The replicas of the segments that a run of ingest took in, with what their segment says of its bytes.
SELECT r.segment_id, r.store, r.start_time, r.path, r.size_bytes, r.checksum, r.state, r.tier, r.verified_at,
       s.size_bytes AS segment_bytes, s.checksum AS segment_checksum
FROM batches b
JOIN landing_files f ON f.batch_id = b.id AND f.state = 'ingested'
JOIN segments s ON s.id = f.segment_id AND s.start_time = f.start_time
JOIN replicas r ON r.segment_id = s.id AND r.start_time = s.start_time
WHERE b.job = 'ingest' AND b.run_id = :run_id AND s.start_time >= :first AND s.start_time < :last
  AND r.start_time >= :first AND r.start_time < :last;

-- name: looked_transfers
-- The transfers that ended in the range.
SELECT t.id, t.segment_id, t.start_time, t.job, t.batch_id, t.source_store, t.destination_store, t.outcome, t.fallback,
       t.error_code, t.error, t.size_bytes, t.started_at, t.finished_at
FROM transfers t
WHERE t.finished_at >= :first AND t.finished_at < :last;

-- name: looked_queue
-- The transfers that were planned and are not done.
SELECT i.batch_id, i.segment_id, i.start_time, i.destination_store, i.state, i.attempts, i.updated_at
FROM transfer_items i
WHERE i.state IN ('pending', 'claimed');

-- name: looked_exports
-- The exports that were asked for in any of these ranges, and all that have not expired.
SELECT e.id, e.tenant, e.camera_ids, e.start_time, e.end_time, e.format, e.reason, e.status, e.store, e.file_path,
       e.file_size, e.file_hash, e.manifest_path, e.expires_at, e.created_by, e.created_at, e.completed_at, e.updated_at,
       e.failure
FROM exports e
WHERE e.status <> 'EXPIRED'
   OR EXISTS (SELECT FROM unnest(:firsts::timestamptz[], :lasts::timestamptz[]) AS range (first, last)
              WHERE e.created_at >= range.first AND e.created_at < range.last);

-- name: looked_cameras
-- The cameras in service, and the end of the last segment of each: those that recorded anything for so long, and that
-- nobody has taken out of service. What a camera dated into the future says nothing of when it last recorded.
SELECT c.id, c.tenant, c.slug, c.retention_days, last.end_time AS last_end
FROM cameras c
CROSS JOIN LATERAL (
    SELECT s.end_time FROM segments s
    WHERE s.camera_id = c.id AND s.start_time >= :in_service_since AND s.start_time <= :now
    ORDER BY s.start_time DESC LIMIT 1) last
WHERE c.slug <> ALL (:out_of_service::text[]) AND c.tenant || '/' || c.slug <> ALL (:out_of_service::text[]);

-- name: looked_camera_days
-- The days of the range that are over, of each camera that was in service before the day and keeps its footage until now,
-- and how much of each it recorded: what several segments show counts once, and a segment over midnight in both days.
WITH days AS (
    SELECT greatest(day, :first) AS first, least(day + interval '1 day', :last) AS last
    FROM generate_series(date_trunc('day', :first), least(:last, :now), interval '1 day') AS day
    WHERE least(day + interval '1 day', :last) <= :now AND day < :last
), recorded AS (
    SELECT s.camera_id, days.first, count(*) AS segments,
           range_agg(tstzrange(greatest(s.start_time, days.first), least(s.end_time, days.last))) AS ranges
    FROM days
    CROSS JOIN LATERAL (
        SELECT * FROM segments
        WHERE start_time >= days.first - interval '24 hours' AND start_time < days.last
          AND start_time >= :day_before AND start_time < :last
          AND end_time > days.first AND end_time > start_time
        OFFSET 0) s
    GROUP BY s.camera_id, days.first
)
SELECT c.id, c.tenant, c.slug, days.first AS day, coalesce(recorded.segments, 0) AS segments,
       coalesce((SELECT sum(extract(epoch FROM upper(range) - lower(range))) FROM unnest(recorded.ranges) AS range), 0)
           / extract(epoch FROM days.last - days.first) AS coverage_ratio
FROM days
CROSS JOIN cameras c
LEFT JOIN recorded ON recorded.camera_id = c.id AND recorded.first = days.first
WHERE c.slug <> ALL (:out_of_service::text[]) AND c.tenant || '/' || c.slug <> ALL (:out_of_service::text[])
  AND days.first >= :now - make_interval(days => coalesce(c.retention_days, :default_days))
  AND EXISTS (SELECT FROM segments s
              WHERE s.camera_id = c.id AND s.start_time >= days.first - :in_service_for AND s.start_time < days.first
              OFFSET 0);

-- name: looked_stores
-- The stores of the estate, and what was found when each was last held against its listing.
SELECT store.name, last.run_id, last.outcome, last.objects, last.replicas, last.orphans, last.lost, last.wrong_size,
       last.finished_at
FROM unnest(:stores::text[]) AS store (name)
LEFT JOIN LATERAL (
    SELECT r.run_id, r.outcome, r.objects, r.replicas, r.orphans, r.lost, r.wrong_size, r.finished_at
    FROM reconciliations r WHERE r.store = store.name
    ORDER BY r.finished_at DESC LIMIT 1) last ON true;
