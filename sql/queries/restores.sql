-- name: restore_candidates
-- A page of a selection's segments by start and id, with each replica of theirs, its restore under way, and whether this
-- run waits for that. A segment without replicas has one row.
WITH page AS (
    SELECT s.id, s.start_time
    FROM segments s
    WHERE s.start_time < :range_end
      AND s.start_time > :range_start::timestamptz - interval '24 hours'   -- the longest segment
      AND s.end_time > :range_start
      AND s.start_time >= :after_start AND (s.start_time, s.id) > (:after_start, :after_id)
      AND (:camera_ids::uuid[] IS NULL OR s.camera_id = ANY (:camera_ids::uuid[]))
      AND (:segment_ids::uuid[] IS NULL OR s.id = ANY (:segment_ids::uuid[]))
    ORDER BY s.start_time, s.id
    LIMIT :limit
)
SELECT page.id AS wanted_id, page.start_time AS wanted_start, r.*,
       x.id AS restore_id, x.state AS restore_state, x.speed, x.days, x.cost_usd, x.run_id AS restore_run_id,
       x.expected_at, x.readable_until AS restored_until, x.extend_until, w.run_id IS NOT NULL AS is_waited_for
FROM page
LEFT JOIN replicas r
    ON r.segment_id = page.id AND r.start_time = page.start_time
   AND r.start_time < :range_end AND r.start_time > :range_start::timestamptz - interval '24 hours'
LEFT JOIN restores x
    ON x.segment_id = r.segment_id AND x.store = r.store AND x.state IN ('planned', 'requested', 'readable')
LEFT JOIN restore_wishes w ON w.restore_id = x.id AND w.run_id = :run_id
ORDER BY page.start_time, page.id, r.store;

-- name: insert_restores!
-- Add planned restores, for which the run waits.
WITH added AS (
    INSERT INTO restores (segment_id, start_time, store, path, speed, days, size_bytes, cost_usd, run_id, planned_at)
    SELECT segment_id, start_time, store, path, speed, days, size_bytes, cost_usd, :run_id, :now
    FROM json_to_recordset(:rows::json) AS n (
        segment_id uuid, start_time timestamptz, store text, path text, speed text, days integer, size_bytes bigint,
        cost_usd double precision)
    RETURNING id
)
INSERT INTO restore_wishes (run_id, restore_id) SELECT :run_id, id FROM added;

-- name: share_restores!
-- Make the run wait for restores that others planned, and have those last as long as it wants. One that ended meanwhile
-- is left out.
WITH shared AS (
    UPDATE restores x SET
        planned_at = CASE WHEN x.state = 'planned' THEN :now ELSE x.planned_at END,
        days = CASE WHEN x.state = 'planned' THEN greatest(x.days, n.days) ELSE x.days END,
        extend_until = CASE WHEN x.state = 'planned' THEN NULL ELSE greatest(x.extend_until, n.extend_until) END,
        cost_usd = CASE WHEN x.state = 'planned' THEN greatest(x.cost_usd, n.cost_usd) ELSE x.cost_usd + n.cost_usd END
    FROM json_to_recordset(:rows::json) AS n (
        id bigint, days integer, extend_until timestamptz, cost_usd double precision)
    WHERE x.id = n.id AND x.state IN ('planned', 'requested', 'readable')
    RETURNING x.id
)
INSERT INTO restore_wishes (run_id, restore_id) SELECT :run_id, id FROM shared;

-- name: forget_settled_wishes!
-- A run that plans anew waits no longer for restores that failed or ended.
DELETE FROM restore_wishes w USING restores x
WHERE w.run_id = :run_id AND x.id = w.restore_id AND x.state IN ('failed', 'ended');

-- name: claim_restores
-- Restores of a store that the run waits for and that are to be asked for: planned, or wanted for longer, each with its
-- replica if that is still there. Locked until the transaction ends; those that another worker holds are left to it.
SELECT x.id, x.state AS restore_state, x.speed, x.days, x.planned_at, x.requested_at, x.expected_at, x.extend_until,
       x.segment_id AS wanted_id, x.start_time AS wanted_start, x.store AS wanted_store, x.path AS wanted_path, r.*
FROM restores x
JOIN restore_wishes w ON w.restore_id = x.id
LEFT JOIN replicas r
    ON r.segment_id = x.segment_id AND r.start_time = x.start_time AND r.store = x.store AND r.path = x.path
   AND r.state IN ('available', 'suspicious')
WHERE w.run_id = :run_id AND x.store = :store AND x.id > :above
  AND (x.state = 'planned' OR (x.state = 'readable' AND x.extend_until IS NOT NULL))
ORDER BY x.id
LIMIT :limit
FOR UPDATE OF x SKIP LOCKED;

-- name: restores_under_way
-- Restores of a store that the run waits for and that are not settled, each with its replica if that is still there.
SELECT x.id, x.state AS restore_state, x.speed, x.days, x.planned_at, x.requested_at, x.expected_at, x.extend_until,
       x.segment_id AS wanted_id, x.start_time AS wanted_start, x.store AS wanted_store, x.path AS wanted_path, r.*
FROM restores x
JOIN restore_wishes w ON w.restore_id = x.id
LEFT JOIN replicas r
    ON r.segment_id = x.segment_id AND r.start_time = x.start_time AND r.store = x.store AND r.path = x.path
   AND r.state IN ('available', 'suspicious')
WHERE w.run_id = :run_id AND x.store = :store AND x.id > :above
  AND (x.state IN ('planned', 'requested') OR (x.state = 'readable' AND x.extend_until IS NOT NULL))
ORDER BY x.id
LIMIT :limit;

-- name: record_restores!
-- What became of restores. A wished end that has come to be is wished no more.
UPDATE restores x SET
    state = n.state,
    requested_at = coalesce(x.requested_at, n.requested_at),
    expected_at = coalesce(x.expected_at, n.expected_at),
    readable_at = coalesce(x.readable_at, n.readable_at),
    readable_until = coalesce(n.readable_until, x.readable_until),
    extend_until = CASE WHEN n.extended_until >= x.extend_until THEN NULL
                        ELSE greatest(x.extend_until, n.extend_until) END,
    error = n.error
FROM json_to_recordset(:rows::json) AS n (
    id bigint, state text, requested_at timestamptz, expected_at timestamptz, readable_at timestamptz,
    readable_until timestamptz, extended_until timestamptz, extend_until timestamptz, error text)
WHERE x.id = n.id AND x.state IN ('planned', 'requested', 'readable');

-- name: open_replicas!
-- The replicas of restores that are readable can be read so long. One that lies elsewhere by now stays as it is.
UPDATE replicas r SET readable_until = x.readable_until
FROM restores x
WHERE x.id = ANY (:restore_ids::bigint[]) AND x.state = 'readable'
  AND r.segment_id = x.segment_id AND r.start_time = x.start_time AND r.store = x.store AND r.path = x.path
  AND r.start_time BETWEEN :first_start AND :last_start;

-- name: end_restores
-- Restored copies whose time is over are gone: their replicas are archived again. Failed are those that a run still
-- wanted for longer, and those that nobody looked at while their copy lasted.
WITH over AS (
    UPDATE restores SET
        state = CASE WHEN state = 'requested' OR extend_until > :now THEN 'failed' ELSE 'ended' END,
        error = CASE WHEN state = 'requested' THEN 'nobody looked at it before its copy ended'
                     WHEN extend_until > :now THEN 'the copy ended before it was asked for longer' END
    WHERE (state = 'readable' AND readable_until <= :now)
       OR (state = 'requested' AND expected_at + days * interval '1 day' <= :now)
    RETURNING segment_id, start_time, store, path
), closed AS (
    UPDATE replicas r SET readable_until = NULL
    FROM over
    WHERE r.segment_id = over.segment_id AND r.start_time = over.start_time AND r.store = over.store
      AND r.path = over.path AND r.readable_until <= :now
)
SELECT count(*) AS ended FROM over;

-- name: restore_counts
-- How the restores stand that a run waits for, and what it costs by the estimate.
SELECT count(*) FILTER (WHERE x.state = 'planned') AS planned,
       count(*) FILTER (WHERE x.state = 'requested') AS requested,
       count(*) FILTER (WHERE x.state = 'readable') AS readable,
       count(*) FILTER (WHERE x.state = 'failed') AS failed,
       count(*) FILTER (WHERE x.state = 'ended') AS ended,
       count(*) FILTER (WHERE x.state = 'readable' AND x.extend_until IS NOT NULL) AS extended,
       coalesce(sum(x.size_bytes) FILTER (WHERE x.state = 'readable'), 0)::bigint AS readable_bytes,
       coalesce(sum(x.cost_usd) FILTER (WHERE x.run_id = :run_id), 0) AS cost_usd,
       min(x.readable_until) FILTER (WHERE x.state = 'readable') AS readable_until
FROM restore_wishes w
JOIN restores x ON x.id = w.restore_id
WHERE w.run_id = :run_id;

-- name: restore_failures
-- The first restores that a run waited for and that failed, oldest footage first.
SELECT x.segment_id, x.start_time, x.store, x.path, x.error
FROM restore_wishes w
JOIN restores x ON x.id = w.restore_id
WHERE w.run_id = :run_id AND x.state = 'failed'
ORDER BY x.start_time, x.segment_id
LIMIT :limit;
