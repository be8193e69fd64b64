-- name: fold_usage!
-- Add the changes of usage to its tally.
WITH taken AS (DELETE FROM usage_changes RETURNING *)
INSERT INTO usage_tallies AS t (store, tenant, tier, storage_class, state, replicas, size_bytes, retiring)
SELECT store, tenant, tier, storage_class, state, sum(replicas), sum(size_bytes), sum(retiring)
FROM taken GROUP BY store, tenant, tier, storage_class, state
ON CONFLICT (store, tenant, tier, storage_class, state) DO UPDATE SET
    replicas = t.replicas + excluded.replicas, size_bytes = t.size_bytes + excluded.size_bytes,
    retiring = t.retiring + excluded.retiring;

-- name: fold_placement!
-- Add the changes of placement to its tallies.
WITH taken AS (DELETE FROM placement_changes RETURNING *), changed AS MATERIALIZED (
    SELECT store, day, bucket, sum(change) AS segments
    FROM taken, unnest(buckets) AS bucket
    GROUP BY store, day, bucket HAVING sum(change) <> 0
), by_bucket AS (
    INSERT INTO placement_buckets AS t (store, bucket, segments)
    SELECT store, bucket, sum(segments) FROM changed GROUP BY store, bucket
    ON CONFLICT (store, bucket) DO UPDATE SET segments = t.segments + excluded.segments
)
INSERT INTO placement_days AS t (store, day, percent, segments)
SELECT store, day, bucket / 100, sum(segments) FROM changed GROUP BY store, day, bucket / 100
ON CONFLICT (store, day, percent) DO UPDATE SET segments = t.segments + excluded.segments;

-- name: fold_cameras!
-- Add the changes of what cameras recorded to its tallies.
WITH taken AS (DELETE FROM camera_changes RETURNING *), by_day AS (
    INSERT INTO camera_days AS t (camera_id, day, segments, starts, microseconds, size_bytes)
    SELECT camera_id, day, sum(segments), sum(starts), sum(microseconds), sum(size_bytes)
    FROM taken GROUP BY camera_id, day
    ON CONFLICT (camera_id, day) DO UPDATE SET
        segments = t.segments + excluded.segments, starts = t.starts + excluded.starts,
        microseconds = t.microseconds + excluded.microseconds, size_bytes = t.size_bytes + excluded.size_bytes
)
INSERT INTO camera_tallies AS t (camera_id, segments, size_bytes, last_end, last_end_gone)
SELECT camera_id, sum(starts), sum(size_bytes), max(last_end), max(last_end_gone) FROM taken GROUP BY camera_id
ON CONFLICT (camera_id) DO UPDATE SET
    segments = t.segments + excluded.segments, size_bytes = t.size_bytes + excluded.size_bytes,
    last_end = greatest(t.last_end, excluded.last_end), last_end_gone = greatest(t.last_end_gone, excluded.last_end_gone);

-- name: settle_last_ends!
-- Look up when the latest segment of a camera ended, where the latest may have gone.
UPDATE camera_tallies SET last_end = last_end_of(camera_id), last_end_gone = NULL
WHERE last_end_gone IS NOT NULL AND (last_end IS NULL OR last_end_gone >= last_end);

-- name: fold_transfers!
-- Add the changes of transfers to their tallies.
WITH taken AS (DELETE FROM transfer_changes RETURNING *), by_hour AS (
    INSERT INTO transfer_hours AS t (hour, job, source_store, destination_store, outcome, error_code, fallback,
                                     latency_class, transfers, size_bytes, microseconds)
    SELECT hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class,
           sum(transfers), sum(size_bytes), sum(microseconds)
    FROM taken
    GROUP BY hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class
    ON CONFLICT (hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class) DO UPDATE SET
        transfers = t.transfers + excluded.transfers, size_bytes = t.size_bytes + excluded.size_bytes,
        microseconds = t.microseconds + excluded.microseconds
)
INSERT INTO transfer_tallies AS t (job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                                   transfers, size_bytes, microseconds)
SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class,
       sum(transfers), sum(size_bytes), sum(microseconds)
FROM taken
GROUP BY job, source_store, destination_store, outcome, error_code, fallback, latency_class
ON CONFLICT (job, source_store, destination_store, outcome, error_code, fallback, latency_class) DO UPDATE SET
    transfers = t.transfers + excluded.transfers, size_bytes = t.size_bytes + excluded.size_bytes,
    microseconds = t.microseconds + excluded.microseconds;

-- name: fold_deletions!
-- Add the changes of deletions to their tally.
WITH taken AS (DELETE FROM deletion_changes RETURNING *)
INSERT INTO deletion_tallies AS t (store, reason, objects, size_bytes)
SELECT store, reason, sum(objects), sum(size_bytes) FROM taken GROUP BY store, reason
ON CONFLICT (store, reason) DO UPDATE SET
    objects = t.objects + excluded.objects, size_bytes = t.size_bytes + excluded.size_bytes;

-- name: fold_retrievals!
-- Add the changes of retrievals to their tally.
WITH taken AS (DELETE FROM retrieval_changes RETURNING *)
INSERT INTO retrieval_tallies AS t (store, outcome, error_code, latency_class, segments, size_bytes, microseconds)
SELECT store, outcome, error_code, latency_class, sum(segments), sum(size_bytes), sum(microseconds)
FROM taken GROUP BY store, outcome, error_code, latency_class
ON CONFLICT (store, outcome, error_code, latency_class) DO UPDATE SET
    segments = t.segments + excluded.segments, size_bytes = t.size_bytes + excluded.size_bytes,
    microseconds = t.microseconds + excluded.microseconds;

-- name: fold_exports!
-- Add the changes of exports to their tally.
WITH taken AS (DELETE FROM export_changes RETURNING *)
INSERT INTO export_tallies AS t (status, latency_class, exports, microseconds)
SELECT status, latency_class, sum(exports), sum(microseconds) FROM taken GROUP BY status, latency_class
ON CONFLICT (status, latency_class) DO UPDATE SET
    exports = t.exports + excluded.exports, microseconds = t.microseconds + excluded.microseconds;

-- name: tallied_usage
-- What stores hold, by all that it is counted by.
SELECT store, tenant, tier, nullif(storage_class, '') AS storage_class, state, sum(replicas)::bigint AS replicas,
       sum(size_bytes)::bigint AS size_bytes, sum(retiring)::bigint AS retiring
FROM (SELECT * FROM usage_tallies UNION ALL SELECT * FROM usage_changes) AS held
GROUP BY store, tenant, tier, held.storage_class, state
HAVING sum(replicas) <> 0
ORDER BY store, tenant, tier, storage_class, state;

-- name: tallied_cameras
-- Every camera, with what there is of it.
SELECT c.id, c.tenant, c.slug, c.name, coalesce(t.segments, 0)::bigint AS segments,
       coalesce(t.size_bytes, 0)::bigint AS size_bytes,
       CASE WHEN t.last_end_gone >= t.last_end THEN last_end_of(c.id) ELSE t.last_end END AS last_end
FROM cameras c
LEFT JOIN (SELECT camera_id, sum(segments) AS segments, sum(size_bytes) AS size_bytes, max(last_end) AS last_end,
                  max(last_end_gone) AS last_end_gone
           FROM (SELECT camera_id, segments, size_bytes, last_end, last_end_gone FROM camera_tallies
                 UNION ALL
                 SELECT camera_id, starts, size_bytes, last_end, last_end_gone FROM camera_changes) AS recorded
           GROUP BY camera_id) AS t ON t.camera_id = c.id
ORDER BY c.tenant, c.slug;

-- name: tallied_camera_days
-- What cameras recorded on each UTC day from first_day to last_day; those of the list, or all without one.
SELECT camera_id, day, sum(segments)::bigint AS segments, sum(microseconds)::bigint AS microseconds,
       sum(size_bytes)::bigint AS size_bytes
FROM (SELECT camera_id, day, segments, microseconds, size_bytes FROM camera_days
      UNION ALL
      SELECT camera_id, day, segments, microseconds, size_bytes FROM camera_changes) AS recorded
WHERE day BETWEEN :first_day AND :last_day
  AND (:camera_ids::uuid[] IS NULL OR camera_id = ANY (:camera_ids::uuid[]))
GROUP BY camera_id, day
HAVING sum(segments) <> 0
ORDER BY camera_id, day;

-- name: first_camera_days
-- The first UTC day of which there is footage, of each of some cameras (NULL: all) that has any: by one look into the
-- index for each, past days that changes not yet folded take away, and by the days that they bring.
WITH net AS MATERIALIZED (
    SELECT camera_id, day, sum(segments)::bigint AS segments FROM camera_changes GROUP BY camera_id, day
)
SELECT camera_id, min(day) AS day
FROM (SELECT c.id AS camera_id,
             (SELECT d.day FROM camera_days d
              WHERE d.camera_id = c.id AND d.segments > 0
                AND (d.camera_id, d.day, -d.segments) NOT IN (SELECT camera_id, day, segments FROM net)
              ORDER BY d.day LIMIT 1) AS day
      FROM cameras c
      UNION ALL
      SELECT camera_id, day FROM net WHERE segments > 0) AS days
WHERE day IS NOT NULL AND (:camera_ids::uuid[] IS NULL OR camera_id = ANY (:camera_ids::uuid[]))
GROUP BY camera_id;

-- name: cameras_recorded_before
-- The cameras of which there is footage of a UTC day before this one, by one look into the index for each.
SELECT c.id AS camera_id
FROM cameras c CROSS JOIN LATERAL (
    SELECT FROM camera_days d
    WHERE d.camera_id = c.id AND d.day < :day AND d.segments > 0
    ORDER BY d.day LIMIT 1) AS earlier
UNION
SELECT camera_id FROM camera_changes WHERE day < :day AND segments > 0;

-- name: tallied_transfers
-- Transfers since ever, by latency class.
SELECT job, destination_store AS store, outcome, nullif(error_code, '') AS error_code, fallback, latency_class,
       sum(transfers)::bigint AS transfers, sum(size_bytes)::bigint AS size_bytes,
       sum(microseconds)::bigint AS microseconds
FROM (SELECT job, destination_store, outcome, error_code, fallback, latency_class, transfers, size_bytes, microseconds
      FROM transfer_tallies
      UNION ALL
      SELECT job, destination_store, outcome, error_code, fallback, latency_class, transfers, size_bytes, microseconds
      FROM transfer_changes) AS told
GROUP BY job, destination_store, outcome, error_code, fallback, latency_class
ORDER BY job, destination_store, outcome, error_code, fallback, latency_class;

-- name: tallied_transfer_hours
-- Transfers of each hour that starts in a time, by latency class.
SELECT hour, job, destination_store AS store, outcome, nullif(error_code, '') AS error_code, fallback, latency_class,
       sum(transfers)::bigint AS transfers, sum(size_bytes)::bigint AS size_bytes,
       sum(microseconds)::bigint AS microseconds
FROM (SELECT * FROM transfer_hours UNION ALL SELECT * FROM transfer_changes) AS told
WHERE hour >= :since AND hour < :until
GROUP BY hour, job, destination_store, outcome, error_code, fallback, latency_class
ORDER BY hour, job, destination_store, outcome, error_code, fallback, latency_class;

-- name: tallied_deletions
-- Objects that we deleted since ever.
SELECT store, reason, sum(objects)::bigint AS objects, sum(size_bytes)::bigint AS size_bytes
FROM (SELECT * FROM deletion_tallies UNION ALL SELECT * FROM deletion_changes) AS gone
GROUP BY store, reason ORDER BY store, reason;

-- name: tallied_retrievals
-- Segments that were read for somebody since ever, or could not be, by latency class; -1: its duration is not known.
SELECT store, outcome, nullif(error_code, '') AS error_code, latency_class, sum(segments)::bigint AS segments,
       sum(size_bytes)::bigint AS size_bytes, sum(microseconds)::bigint AS microseconds
FROM (SELECT store, outcome, error_code, latency_class, segments, size_bytes, microseconds FROM retrieval_tallies
      UNION ALL
      SELECT store, outcome, error_code, latency_class, segments, size_bytes, microseconds FROM retrieval_changes) AS taken
GROUP BY store, outcome, taken.error_code, latency_class
ORDER BY store, outcome, error_code, latency_class;

-- name: note_retrieval!
-- A segment is read elsewhere by somebody: nobody knows how long that takes.
INSERT INTO retrieval_changes (store, outcome, error_code, latency_class, segments, size_bytes, microseconds)
VALUES (:store, 'succeeded', '', -1, 1, :size_bytes, 0);

-- name: tallied_exports
-- How often exports came to a status, by latency class.
SELECT status, latency_class, sum(exports)::bigint AS exports, sum(microseconds)::bigint AS microseconds
FROM (SELECT * FROM export_tallies UNION ALL SELECT * FROM export_changes) AS told
GROUP BY status, latency_class ORDER BY status, latency_class;

-- name: unplaced_segments
-- How many segments with a rollout bucket below a number have no available replica in a store.
SELECT coalesce(sum(CASE store WHEN '' THEN segments ELSE -segments END), 0)::bigint AS segments
FROM (SELECT store, segments FROM placement_buckets WHERE store IN ('', :store) AND bucket < :buckets
      UNION ALL
      SELECT store, change FROM placement_changes, unnest(buckets) AS bucket
      WHERE store IN ('', :store) AND bucket < :buckets) AS placed;

-- name: oldest_unplaced_segment
-- The start of the oldest of them. Days that lack one, by their tally, are looked at until one is found: where the number
-- is no whole percent, a day may lack only what is above it. No row without any.
WITH placed AS (
    SELECT store, day, segments FROM placement_days WHERE store IN ('', :store) AND percent * 100 < :buckets
    UNION ALL
    SELECT store, day, change FROM placement_changes, unnest(buckets) AS bucket
    WHERE store IN ('', :store) AND bucket / 100 * 100 < :buckets
), lacking AS (
    SELECT day, day::timestamp AT TIME ZONE 'UTC' AS starts, (day + 1)::timestamp AT TIME ZONE 'UTC' AS ends
    FROM placed
    GROUP BY day HAVING sum(CASE store WHEN '' THEN segments ELSE -segments END) > 0
    ORDER BY day   -- so that the first that has one ends the search
)
SELECT found.start_time
FROM lacking CROSS JOIN LATERAL (
    SELECT s.start_time FROM segments s
    WHERE s.start_time >= lacking.starts AND s.start_time < lacking.ends AND s.rollout_bucket < :buckets
      AND NOT EXISTS (SELECT FROM replicas r
                      WHERE r.segment_id = s.id AND r.start_time = s.start_time AND r.store = :store
                        AND r.state = 'available' AND r.start_time >= lacking.starts AND r.start_time < lacking.ends)
    ORDER BY s.start_time LIMIT 1) AS found
ORDER BY lacking.day LIMIT 1;

-- name: unprotected_segments
-- How many segments have a doubted replica and no available one, by the index of doubted replicas.
SELECT count(*) AS segments
FROM (SELECT DISTINCT segment_id, start_time FROM replicas WHERE state IN ('suspicious', 'lost')) AS doubted
WHERE NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = doubted.segment_id
                    AND r.start_time = doubted.start_time AND r.state = 'available');

-- name: oldest_proof
-- When the available replica in these stores that was proved longest ago was proved, by the index of proofs.
SELECT min(oldest.proved_at) AS proved_at
FROM unnest(:stores::text[]) AS asked (store) CROSS JOIN LATERAL (
    SELECT proved_at(storage_class, verified_at, seen_at) AS proved_at FROM replicas
    WHERE store = asked.store AND state = 'available'
    ORDER BY proved_at(storage_class, verified_at, seen_at) LIMIT 1) AS oldest;

-- name: queued_items
-- How many items wait or are under way, by job.
SELECT 'ingest' AS job, count(*) AS items FROM landing_files WHERE state IN ('pending', 'claimed')
UNION ALL
SELECT b.job, count(*) FROM transfer_items i JOIN batches b ON b.id = i.batch_id
WHERE i.state IN ('pending', 'claimed') GROUP BY b.job
UNION ALL
SELECT 'tier', count(*) FROM tier_moves WHERE state IN ('pending', 'claimed');

-- name: quarantined_files
-- How many files of landing zones are in quarantine.
SELECT count(*) AS files FROM landing_files WHERE state = 'quarantined';

-- name: store_leavings
-- What lies in stores beside footage that is kept: orphans, orphans in quarantine, and what is condemned.
SELECT store, sum(orphans)::bigint AS orphans, sum(orphan_bytes)::bigint AS orphan_bytes,
       sum(quarantined)::bigint AS quarantined, sum(quarantined_bytes)::bigint AS quarantined_bytes,
       sum(condemned)::bigint AS condemned, sum(condemned_bytes)::bigint AS condemned_bytes
FROM (SELECT store, count(*) FILTER (WHERE state = 'seen') AS orphans,
             coalesce(sum(size_bytes) FILTER (WHERE state = 'seen'), 0) AS orphan_bytes,
             count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
             coalesce(sum(size_bytes) FILTER (WHERE state = 'quarantined'), 0) AS quarantined_bytes,
             0 AS condemned, 0 AS condemned_bytes
      FROM orphans GROUP BY store
      UNION ALL
      SELECT store, 0, 0, 0, 0, count(*), sum(size_bytes) FROM condemnations GROUP BY store) AS lies
GROUP BY store;

-- name: last_reconciliations
-- The last reconciliation of each of these stores.
SELECT last.* FROM unnest(:stores::text[]) AS asked (store) CROSS JOIN LATERAL (
    SELECT store, outcome, finished_at FROM reconciliations r
    WHERE r.store = asked.store ORDER BY finished_at DESC LIMIT 1) AS last;

-- name: drop_usage_day!
-- Forget what was held on a day, before it is told anew.
DELETE FROM usage_days WHERE day = :day;

-- name: insert_usage_day!
-- What is held on a day.
INSERT INTO usage_days (day, store, tier, replicas, size_bytes, monthly_usd)
SELECT day, store, tier, replicas, size_bytes, monthly_usd FROM json_populate_recordset(NULL::usage_days, :rows::json);

-- name: usage_days
-- What stores held at the end of each day from first_day to last_day.
SELECT * FROM usage_days WHERE day BETWEEN :first_day AND :last_day ORDER BY day, store, tier;

-- name: prepare_recount
-- For this transaction, join partitioned tables month by month and compile nothing: a recount goes through everything.
SELECT set_config('enable_partitionwise_join', 'on', true) AS partitionwise, set_config('work_mem', '64MB', true) AS memory,
       set_config('jit', 'off', true) AS jit;

-- name: tally_drift
-- How many counts of each tally, with its changes, differ from what the rows themselves say. All of it is read at one
-- moment, so that nobody has to wait.
SELECT 'usage' AS tally, count(*) AS counts FROM usage_drift
UNION ALL SELECT 'placement_buckets', count(*) FROM placement_bucket_drift
UNION ALL SELECT 'placement_days', count(*) FROM placement_day_drift
UNION ALL SELECT 'camera_days', count(*) FROM camera_day_drift
UNION ALL SELECT 'cameras', count(*) FROM camera_drift
UNION ALL SELECT 'transfer_hours', count(*) FROM transfer_hour_drift
UNION ALL SELECT 'transfers', count(*) FROM transfer_drift
UNION ALL SELECT 'deletions', count(*) FROM deletion_drift
UNION ALL SELECT 'retrievals', count(*) FROM retrieval_drift;

-- name: recount_usage!
-- Make the tally of usage right. What it is off by is read at one moment, so that writers need not wait.
INSERT INTO usage_tallies AS t (store, tenant, tier, storage_class, state, replicas, size_bytes, retiring)
SELECT store, tenant, tier, storage_class, state, replicas, size_bytes, retiring FROM usage_drift
ON CONFLICT (store, tenant, tier, storage_class, state) DO UPDATE SET
    replicas = t.replicas + excluded.replicas, size_bytes = t.size_bytes + excluded.size_bytes,
    retiring = t.retiring + excluded.retiring;

-- name: recount_placement_buckets!
-- Make the tally of placement by bucket right.
INSERT INTO placement_buckets AS t (store, bucket, segments) SELECT store, bucket, segments FROM placement_bucket_drift
ON CONFLICT (store, bucket) DO UPDATE SET segments = t.segments + excluded.segments;

-- name: recount_placement_days!
-- Make the tally of placement by day right.
INSERT INTO placement_days AS t (store, day, percent, segments)
SELECT store, day, percent, segments FROM placement_day_drift
ON CONFLICT (store, day, percent) DO UPDATE SET segments = t.segments + excluded.segments;

-- name: recount_camera_days!
-- Make the tally of what cameras recorded on a day right.
INSERT INTO camera_days AS t (camera_id, day, segments, starts, microseconds, size_bytes)
SELECT camera_id, day, segments, starts, microseconds, size_bytes FROM camera_day_drift
ON CONFLICT (camera_id, day) DO UPDATE SET
    segments = t.segments + excluded.segments, starts = t.starts + excluded.starts,
    microseconds = t.microseconds + excluded.microseconds, size_bytes = t.size_bytes + excluded.size_bytes;

-- name: recount_cameras!
-- Make the tally of cameras right.
INSERT INTO camera_tallies AS t (camera_id, segments, size_bytes) SELECT camera_id, segments, size_bytes FROM camera_drift
ON CONFLICT (camera_id) DO UPDATE SET
    segments = t.segments + excluded.segments, size_bytes = t.size_bytes + excluded.size_bytes;

-- name: doubt_last_ends!
-- Have every camera's last end looked up.
UPDATE camera_tallies SET last_end_gone = 'infinity';

-- name: recount_transfer_hours!
-- Make the tally of transfers by hour right.
INSERT INTO transfer_hours AS t (hour, job, source_store, destination_store, outcome, error_code, fallback,
                                 latency_class, transfers, size_bytes, microseconds)
SELECT hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class, transfers, size_bytes,
       microseconds FROM transfer_hour_drift
ON CONFLICT (hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class) DO UPDATE SET
    transfers = t.transfers + excluded.transfers, size_bytes = t.size_bytes + excluded.size_bytes,
    microseconds = t.microseconds + excluded.microseconds;

-- name: recount_transfers!
-- Make the tally of transfers since ever right.
INSERT INTO transfer_tallies AS t (job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                                   transfers, size_bytes, microseconds)
SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class, transfers, size_bytes,
       microseconds FROM transfer_drift
ON CONFLICT (job, source_store, destination_store, outcome, error_code, fallback, latency_class) DO UPDATE SET
    transfers = t.transfers + excluded.transfers, size_bytes = t.size_bytes + excluded.size_bytes,
    microseconds = t.microseconds + excluded.microseconds;

-- name: recount_deletions!
-- Make the tally of deletions right.
INSERT INTO deletion_tallies AS t (store, reason, objects, size_bytes)
SELECT store, reason, objects, size_bytes FROM deletion_drift
ON CONFLICT (store, reason) DO UPDATE SET
    objects = t.objects + excluded.objects, size_bytes = t.size_bytes + excluded.size_bytes;

-- name: recount_retrievals!
-- Make the tally of what was read right, as far as its duration is known.
INSERT INTO retrieval_tallies AS t (store, outcome, error_code, latency_class, segments, size_bytes, microseconds)
SELECT store, outcome, error_code, latency_class, segments, size_bytes, microseconds FROM retrieval_drift
ON CONFLICT (store, outcome, error_code, latency_class) DO UPDATE SET
    segments = t.segments + excluded.segments, size_bytes = t.size_bytes + excluded.size_bytes,
    microseconds = t.microseconds + excluded.microseconds;

-- name: drop_empty_tallies!
-- Forget counts of what there is none of any more; nothing is folded meanwhile.
WITH usage AS (DELETE FROM usage_tallies WHERE replicas = 0 AND size_bytes = 0 AND retiring = 0),
buckets AS (DELETE FROM placement_buckets WHERE segments = 0),
days AS (DELETE FROM placement_days WHERE segments = 0)
DELETE FROM camera_days WHERE segments = 0 AND starts = 0 AND microseconds = 0 AND size_bytes = 0;
