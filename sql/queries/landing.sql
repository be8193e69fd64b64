-- name: known_landing_files
-- What is known of these paths of a zone.
SELECT f.zone, f.path, f.size_bytes, f.modified_at, f.state, f.attempts
FROM unnest(:paths::text[]) AS asked (path)
JOIN landing_files f ON f.zone = :zone AND f.path = asked.path;

-- name: plan_landing_batches!
-- Put files into new batches, the oldest first and what was done with before after all others: files that are unknown, known in another version and done with, left
-- open by another run (untouched for a time, under no lease), or, on demand, done with and untouched for that time.
-- How often an open version was claimed stays known, whoever takes it over.
WITH seen AS (
    SELECT DISTINCT ON (path) path, size_bytes, modified_at
    FROM json_to_recordset(:rows::json) AS n (path text, size_bytes bigint, modified_at timestamptz)
    ORDER BY path, modified_at DESC
), wanted AS (
    SELECT seen.*, coalesce((f.size_bytes, f.modified_at) = (seen.size_bytes, seen.modified_at)
                            AND f.state NOT IN ('pending', 'claimed'), false) AS was_done
    FROM seen LEFT JOIN landing_files f ON f.zone = :zone AND f.path = seen.path
    WHERE f.path IS NULL
       OR f.state NOT IN ('pending', 'claimed')
          AND ((f.size_bytes, f.modified_at) IS DISTINCT FROM (seen.size_bytes, seen.modified_at)
               OR :again AND f.updated_at < statement_timestamp() - :stale_after)
       OR f.state IN ('pending', 'claimed')
          AND f.updated_at < statement_timestamp() - :stale_after
          AND (f.claimed_until IS NULL OR f.claimed_until < statement_timestamp())
          AND f.batch_id NOT IN (SELECT id FROM batches WHERE job = 'ingest' AND run_id = :run_id)
), numbered AS (
    SELECT *, batch_number(size_bytes, :batch_files, :batch_bytes)
              OVER (ORDER BY was_done, modified_at, path ROWS UNBOUNDED PRECEDING) AS number
    FROM wanted
), new_batches AS MATERIALIZED (
    SELECT number, gen_random_uuid() AS id, count(*) AS item_count, sum(size_bytes) AS size_bytes
    FROM numbered WHERE number < :max_batches GROUP BY number
), inserted AS (
    INSERT INTO batches (id, job, run_id, zone, number, item_count, size_bytes)
    SELECT id, 'ingest', :run_id, :zone, number, item_count, size_bytes FROM new_batches
)
INSERT INTO landing_files AS f (zone, path, size_bytes, modified_at, state, batch_id)
SELECT :zone, numbered.path, numbered.size_bytes, numbered.modified_at, 'pending', new_batches.id
FROM numbered JOIN new_batches USING (number)
ORDER BY numbered.path
ON CONFLICT (zone, path) DO UPDATE SET
    size_bytes = excluded.size_bytes, modified_at = excluded.modified_at, state = 'pending',
    batch_id = excluded.batch_id, claimed_until = NULL, segment_id = NULL, start_time = NULL, reason_code = NULL,
    reason = NULL, moved_to = NULL, updated_at = statement_timestamp(),
    attempts = CASE WHEN f.state IN ('pending', 'claimed')
                         AND (f.size_bytes, f.modified_at) = (excluded.size_bytes, excluded.modified_at)
                    THEN f.attempts ELSE 0 END
    WHERE CASE WHEN f.state IN ('pending', 'claimed')
               THEN f.claimed_until IS NULL OR f.claimed_until < statement_timestamp()
               ELSE (f.size_bytes, f.modified_at) IS DISTINCT FROM (excluded.size_bytes, excluded.modified_at)
                    OR :again AND f.updated_at < statement_timestamp() - :stale_after END;

-- name: open_landing_batches
-- The batches of a run and a zone that have open files, in the order planned.
SELECT id, job, run_id, zone, store, item_count, size_bytes
FROM batches b
WHERE job = 'ingest' AND run_id = :run_id AND zone = :zone
  AND EXISTS (SELECT FROM landing_files f WHERE f.batch_id = b.id AND f.state IN ('pending', 'claimed'))
ORDER BY created_at, number;

-- name: claim_landing_files
-- Claim open files of a batch for one worker, passing over those that others claim at this moment. Either such as were
-- claimed at least :attempts_from times before, or such as were not yet claimed :attempts_below times.
WITH taken AS (
    SELECT zone, path
    FROM landing_files
    WHERE batch_id = :batch_id
      AND (state = 'pending' OR state = 'claimed' AND claimed_until < statement_timestamp())
      AND attempts >= :attempts_from AND attempts < :attempts_below
      AND path <> ALL (:passing_over::text[])
    ORDER BY modified_at, path
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE landing_files f
SET state = 'claimed', attempts = f.attempts + 1, claimed_until = statement_timestamp() + :lease,
    updated_at = statement_timestamp()
FROM taken
WHERE f.zone = taken.zone AND f.path = taken.path
RETURNING f.zone, f.path, f.size_bytes, f.modified_at, f.state, f.attempts;

-- name: open_landing_files
-- How many files of a batch are open, without some.
SELECT count(*) AS open
FROM landing_files
WHERE batch_id = :batch_id AND state IN ('pending', 'claimed') AND path <> ALL (:passing_over::text[]);

-- name: put_back_landing_files!
-- End claims whose worker lives and could not do its work now.
UPDATE landing_files f
SET state = 'pending', claimed_until = NULL, attempts = 0, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (zone text, path text)
WHERE f.zone = n.zone AND f.path = n.path AND f.batch_id = :batch_id AND f.state = 'claimed';

-- name: extend_landing_claims!
-- Renew the lease of claimed files.
UPDATE landing_files f SET claimed_until = statement_timestamp() + :lease, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (zone text, path text)
WHERE f.zone = n.zone AND f.path = n.path AND f.batch_id = :batch_id AND f.state = 'claimed';

-- name: finish_landing_files!
-- Record what became of open files. That a version was ingested holds whoever has claimed it since; a quarantine counts
-- only for the batch that decided it.
UPDATE landing_files f
SET state = n.state, claimed_until = NULL, segment_id = n.segment_id, start_time = n.start_time,
    reason_code = n.reason_code, reason = n.reason, moved_to = n.moved_to, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (
    zone text, path text, size_bytes bigint, modified_at timestamptz, state text, segment_id uuid,
    start_time timestamptz, reason_code text, reason text, moved_to text)
WHERE f.zone = n.zone AND f.path = n.path AND f.size_bytes = n.size_bytes AND f.modified_at = n.modified_at
  AND f.state IN ('pending', 'claimed')
  AND (n.state <> 'quarantined' OR f.batch_id = :batch_id);

-- name: release_landing_files!
-- Forget open files of a batch, so that the next scan sees them anew.
DELETE FROM landing_files f
USING json_to_recordset(:rows::json) AS n (zone text, path text)
WHERE f.zone = n.zone AND f.path = n.path AND f.batch_id = :batch_id AND f.state IN ('pending', 'claimed');

-- name: landing_counts
-- How far batches are. What was planned and has no row any more was released or taken over.
SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
       count(*) FILTER (WHERE state = 'claimed') AS claimed,
       count(*) FILTER (WHERE state = 'ingested') AS ingested,
       count(*) FILTER (WHERE state = 'duplicate') AS duplicate,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       coalesce((SELECT sum(item_count) FROM batches WHERE id = ANY (:batch_ids::uuid[])), 0) - count(*) AS released,
       coalesce(sum(size_bytes) FILTER (WHERE state = 'ingested'), 0)::bigint AS bytes_ingested
FROM landing_files
WHERE batch_id = ANY (:batch_ids::uuid[]);

-- name: span_of_landing_batch
-- The first and the last start of the segments that a batch ingested; NULL when there are none.
SELECT min(start_time) AS first_start, max(start_time) AS last_start
FROM landing_files
WHERE batch_id = :batch_id AND state = 'ingested';

-- name: segments_without_thumbnail
-- The segments that a batch ingested, that can be read and have no thumbnail yet, each with its camera and the replica
-- to ask first.
-- first_start and last_start bound them, so that other months are not looked at.
SELECT s.*, c.tenant, c.slug, c.name, c.retention_days,
       r.store, r.path, r.storage_class, r.state, r.verified_at, r.retire_after, r.tier, r.tier_since, r.readable_until
FROM landing_files f
JOIN segments s ON s.id = f.segment_id AND s.start_time = f.start_time
JOIN cameras c ON c.id = s.camera_id
JOIN replicas r ON r.segment_id = s.id AND r.start_time = s.start_time AND r.store = s.storage_backend
WHERE f.batch_id = :batch_id AND f.state = 'ingested' AND r.state = 'available'
  AND NOT EXISTS (SELECT FROM thumbnails t WHERE t.segment_id = s.id AND t.start_time = s.start_time
                  AND t.start_time BETWEEN :first_start AND :last_start)
  AND s.start_time BETWEEN :first_start AND :last_start
  AND r.start_time BETWEEN :first_start AND :last_start
ORDER BY s.start_time, s.id;
