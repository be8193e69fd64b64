-- name: store_contents
-- What the stores hold, as far as we know: replicas that are not condemned, and the bytes of those that are not lost.
SELECT store, count(*) AS replicas,
       coalesce(sum(size_bytes) FILTER (WHERE state <> 'lost'), 0)::bigint AS size_bytes
FROM replicas
WHERE state <> 'condemned' AND store = ANY (:stores::text[])
GROUP BY store;

-- name: span_of_store
-- The first and the last start of what a store holds.
SELECT min(start_time) AS first_start, max(start_time) AS last_start FROM replicas WHERE store = :store;

-- name: months_retiring
-- The months in which a store has replicas that may leave it by now.
SELECT DISTINCT date_trunc('month', start_time, 'UTC') AS month
FROM replicas
WHERE store = :store AND state = 'available' AND retire_after <= :now;

-- name: shortest_retention
-- The fewest days that footage of any camera is kept.
SELECT least(:default_days, min(retention_days)) AS days FROM cameras;

-- name: condemn_expired
-- Condemn the replicas in a store of a month's segments whose retention is over, which came in some days ago, and that
-- nothing protects. A dry run only counts. held_bytes leaves out what is lost: it takes no room.
WITH protected AS MATERIALIZED (
    SELECT segment_id FROM protected_segments(:month_start, :month_end, :now, :stale_after)
), due AS (
    SELECT r.segment_id, r.start_time, r.path, r.size_bytes, r.state
    FROM cameras c
    JOIN segments s ON s.camera_id = c.id
        AND s.end_time <= :now::timestamptz - make_interval(days => coalesce(c.retention_days, :default_days))
        AND s.start_time < :now::timestamptz - make_interval(days => coalesce(c.retention_days, :default_days))
        AND s.created_at <= :now::timestamptz
            - make_interval(days => least(coalesce(c.retention_days, :default_days), :ingest_days))
    JOIN replicas r ON r.segment_id = s.id AND r.start_time = s.start_time
    WHERE s.start_time >= :month_start AND s.start_time < :month_end
      AND r.start_time >= :month_start AND r.start_time < :month_end
      AND r.store = :store AND r.state <> 'condemned'
      AND NOT EXISTS (SELECT FROM protected p WHERE p.segment_id = s.id)
), taken AS (
    UPDATE replicas r
    SET state = 'condemned',
        suspected_at = CASE WHEN r.state = 'available' THEN NULL ELSE coalesce(r.suspected_at, :now::timestamptz) END
    FROM due
    WHERE NOT :dry_run
      AND r.segment_id = due.segment_id AND r.start_time = due.start_time AND r.store = :store
      AND r.state <> 'condemned' AND r.start_time >= :month_start AND r.start_time < :month_end
    RETURNING r.segment_id, r.start_time, r.path, r.size_bytes, due.state
), recorded AS (
    INSERT INTO condemnations (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, delete_after)
    SELECT :store, path, segment_id, start_time, 'expired', size_bytes, :run_id, :now, :delete_after FROM taken
    ON CONFLICT (store, path) DO UPDATE SET
        segment_id = excluded.segment_id, start_time = excluded.start_time, reason = excluded.reason,
        size_bytes = excluded.size_bytes, run_id = excluded.run_id, condemned_at = excluded.condemned_at,
        delete_after = excluded.delete_after, error = NULL
)
SELECT count(*) AS objects, coalesce(sum(size_bytes), 0)::bigint AS size_bytes,
       coalesce(sum(size_bytes) FILTER (WHERE state <> 'lost'), 0)::bigint AS held_bytes
FROM (SELECT size_bytes, state FROM due WHERE :dry_run UNION ALL SELECT size_bytes, state FROM taken) AS counted;

-- name: condemn_expired_thumbnails!
-- Condemn the thumbnails in a store of a month's segments whose retention is over and that nothing protects.
WITH protected AS MATERIALIZED (
    SELECT segment_id FROM protected_segments(:month_start, :month_end, :now, :stale_after)
)
INSERT INTO condemnations (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, delete_after)
SELECT t.store, t.path, t.segment_id, t.start_time, 'thumbnail', 0, :run_id, :now, :delete_after
FROM cameras c
JOIN segments s ON s.camera_id = c.id
    AND s.end_time <= :now::timestamptz - make_interval(days => coalesce(c.retention_days, :default_days))
    AND s.start_time < :now::timestamptz - make_interval(days => coalesce(c.retention_days, :default_days))
    AND s.created_at <= :now::timestamptz
        - make_interval(days => least(coalesce(c.retention_days, :default_days), :ingest_days))
JOIN thumbnails t ON t.segment_id = s.id AND t.start_time = s.start_time
WHERE s.start_time >= :month_start AND s.start_time < :month_end
  AND t.start_time >= :month_start AND t.start_time < :month_end
  AND t.store = :store
  AND NOT EXISTS (SELECT FROM protected p WHERE p.segment_id = s.id)
ON CONFLICT (store, path) DO NOTHING;

-- name: condemn_retired
-- Condemn the replicas of a month in a store that may leave it, as another verified copy is available in one of the
-- stores. What has expired is not counted again. A dry run only counts.
WITH protected AS MATERIALIZED (
    SELECT segment_id FROM protected_segments(:month_start, :month_end, :now, :stale_after)
), due AS (
    SELECT r.segment_id, r.start_time, r.path, r.size_bytes
    FROM replicas r
    JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
    JOIN cameras c ON c.id = s.camera_id
    WHERE r.store = :store AND r.state = 'available' AND r.retire_after <= :now
      AND r.start_time >= :month_start AND r.start_time < :month_end
      AND s.start_time >= :month_start AND s.start_time < :month_end
      AND (s.end_time > :now::timestamptz - make_interval(days => coalesce(c.retention_days, :default_days))
           OR s.created_at > :now::timestamptz
               - make_interval(days => least(coalesce(c.retention_days, :default_days), :ingest_days)))
      AND EXISTS (SELECT FROM replicas copy
                  WHERE copy.segment_id = r.segment_id AND copy.start_time = r.start_time
                    AND copy.start_time >= :month_start AND copy.start_time < :month_end
                    AND copy.store <> :store AND copy.store = ANY (:stores::text[])
                    AND copy.state = 'available' AND copy.verified_at IS NOT NULL)
      AND NOT EXISTS (SELECT FROM protected p WHERE p.segment_id = r.segment_id)
), taken AS (
    UPDATE replicas r SET state = 'condemned', suspected_at = NULL
    FROM due
    WHERE NOT :dry_run
      AND r.segment_id = due.segment_id AND r.start_time = due.start_time AND r.store = :store
      AND r.state = 'available' AND r.start_time >= :month_start AND r.start_time < :month_end
    RETURNING r.segment_id, r.start_time, r.path, r.size_bytes
), recorded AS (
    INSERT INTO condemnations (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, delete_after)
    SELECT :store, path, segment_id, start_time, 'retired', size_bytes, :run_id, :now, :delete_after FROM taken
    ON CONFLICT (store, path) DO UPDATE SET
        segment_id = excluded.segment_id, start_time = excluded.start_time, reason = excluded.reason,
        size_bytes = excluded.size_bytes, run_id = excluded.run_id, condemned_at = excluded.condemned_at,
        delete_after = excluded.delete_after, error = NULL
)
SELECT count(*) AS objects, coalesce(sum(size_bytes), 0)::bigint AS size_bytes
FROM (SELECT size_bytes FROM due WHERE :dry_run UNION ALL SELECT size_bytes FROM taken) AS counted;

-- name: condemn_for_quota
-- Condemn the oldest replicas of a month in a store until so many bytes are gone, and not one more: such as have another
-- verified copy and nothing protects. What has expired, or retires, goes for that reason. A dry run only counts.
WITH protected AS MATERIALIZED (
    SELECT segment_id FROM protected_segments(:month_start, :month_end, :now, :stale_after)
), spare AS (
    SELECT r.segment_id, r.start_time, r.path, r.size_bytes,
           sum(r.size_bytes) OVER (ORDER BY r.start_time, r.segment_id ROWS UNBOUNDED PRECEDING) AS so_far
    FROM replicas r
    JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
    JOIN cameras c ON c.id = s.camera_id
    WHERE r.store = :store AND r.state = 'available' AND (r.retire_after IS NULL OR r.retire_after > :now)
      AND r.start_time >= :month_start AND r.start_time < :month_end
      AND s.start_time >= :month_start AND s.start_time < :month_end
      AND (s.end_time > :now::timestamptz - make_interval(days => coalesce(c.retention_days, :default_days))
           OR s.created_at > :now::timestamptz
               - make_interval(days => least(coalesce(c.retention_days, :default_days), :ingest_days)))
      AND EXISTS (SELECT FROM replicas copy
                  WHERE copy.segment_id = r.segment_id AND copy.start_time = r.start_time
                    AND copy.start_time >= :month_start AND copy.start_time < :month_end
                    AND copy.store <> :store AND copy.store = ANY (:stores::text[])
                    AND copy.state = 'available' AND copy.verified_at IS NOT NULL)
      AND NOT EXISTS (SELECT FROM protected p WHERE p.segment_id = r.segment_id)
), due AS (
    SELECT segment_id, start_time, path, size_bytes FROM spare WHERE so_far - size_bytes < :most_bytes
), taken AS (
    UPDATE replicas r SET state = 'condemned', suspected_at = NULL
    FROM due
    WHERE NOT :dry_run
      AND r.segment_id = due.segment_id AND r.start_time = due.start_time AND r.store = :store
      AND r.state = 'available' AND r.start_time >= :month_start AND r.start_time < :month_end
    RETURNING r.segment_id, r.start_time, r.path, r.size_bytes
), recorded AS (
    INSERT INTO condemnations (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, delete_after)
    SELECT :store, path, segment_id, start_time, 'quota', size_bytes, :run_id, :now, :delete_after FROM taken
    ON CONFLICT (store, path) DO UPDATE SET
        segment_id = excluded.segment_id, start_time = excluded.start_time, reason = excluded.reason,
        size_bytes = excluded.size_bytes, run_id = excluded.run_id, condemned_at = excluded.condemned_at,
        delete_after = excluded.delete_after, error = NULL
)
SELECT count(*) AS objects, coalesce(sum(size_bytes), 0)::bigint AS size_bytes
FROM (SELECT size_bytes FROM due WHERE :dry_run UNION ALL SELECT size_bytes FROM taken) AS counted;

-- name: point_away_condemned!
-- Make reads of a month's segments that would ask a replica which was condemned now ask another one.
UPDATE segments s SET storage_backend = r.store, storage_path = r.path
FROM condemnations c
JOIN replicas r ON r.segment_id = c.segment_id AND r.start_time = c.start_time AND r.store <> c.store
WHERE c.store = :store AND c.reason IN ('retired', 'quota') AND c.run_id = :run_id
  AND c.start_time >= :month_start AND c.start_time < :month_end
  AND s.id = c.segment_id AND s.start_time = c.start_time AND s.storage_backend = c.store
  AND s.start_time >= :month_start AND s.start_time < :month_end
  AND r.start_time >= :month_start AND r.start_time < :month_end AND r.state = 'available';

-- name: kept_above_quota
-- Why what is left in a store cannot make room: of how many bytes that are owed there is no other verified copy, and how
-- many are protected.
SELECT coalesce(sum(r.size_bytes) FILTER (WHERE p.segment_id IS NOT NULL), 0)::bigint AS protected_bytes,
       coalesce(sum(r.size_bytes) FILTER (WHERE p.segment_id IS NULL), 0)::bigint AS only_copy_bytes
FROM replicas r
LEFT JOIN (SELECT DISTINCT segment_id FROM protected_segments(:month_start, :month_end, :now, :stale_after)) p
    ON p.segment_id = r.segment_id
WHERE r.store = :store AND r.state IN ('available', 'suspicious')
  AND r.start_time >= :month_start AND r.start_time < :month_end;
