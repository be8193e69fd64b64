-- name: sight_orphans!
-- Note objects that nothing knows. A run sees an object once, however often it is tried; one that has changed is
-- new. What is in quarantine stays as it is.
INSERT INTO orphans AS o (store, path, size_bytes, modified_at, first_seen_at, last_seen_at, seen_run_id)
SELECT :store, path, size_bytes, modified_at, :now, :now, :run_id
FROM json_to_recordset(:rows::json) AS n (path text, size_bytes bigint, modified_at timestamptz)
ORDER BY path
ON CONFLICT (store, path) DO UPDATE SET
    sightings = CASE WHEN o.size_bytes <> excluded.size_bytes OR o.modified_at <> excluded.modified_at THEN 1
                     WHEN o.seen_run_id = excluded.seen_run_id THEN o.sightings
                     ELSE o.sightings + 1 END,
    first_seen_at = CASE WHEN o.size_bytes <> excluded.size_bytes OR o.modified_at <> excluded.modified_at
                         THEN excluded.first_seen_at ELSE o.first_seen_at END,
    size_bytes = excluded.size_bytes, modified_at = excluded.modified_at,
    last_seen_at = excluded.last_seen_at, seen_run_id = excluded.seen_run_id
    WHERE o.state = 'seen';

-- name: orphans_at
-- Orphans that were found at these paths.
SELECT path, size_bytes, modified_at, sightings, state, quarantine_path, seen_run_id
FROM orphans
WHERE store = :store AND path = ANY (:paths::text[]);

-- name: forget_unseen_orphans!
-- Orphans that a run did not see any more, and that are not in quarantine: gone, or known by now.
DELETE FROM orphans WHERE store = :store AND state = 'seen' AND seen_run_id <> :run_id;

-- name: forget_orphans!
-- They are no orphans any more.
DELETE FROM orphans o USING unnest(:paths::text[]) AS gone (path) WHERE o.store = :store AND o.path = gone.path;

-- name: ripe_orphans
-- The next ones that a run saw, which were seen often enough and are old enough.
SELECT path, size_bytes, modified_at, sightings, state, quarantine_path, seen_run_id
FROM orphans
WHERE store = :store AND state = 'seen' AND seen_run_id = :run_id AND sightings >= :sightings
  AND modified_at <= :modified_before AND path > :after_path
ORDER BY path
LIMIT :limit;

-- name: due_orphans
-- The next ones whose time in quarantine is over and which are not condemned yet.
SELECT path, size_bytes, modified_at, sightings, state, quarantine_path, seen_run_id
FROM orphans o
WHERE store = :store AND state = 'quarantined' AND delete_after <= :now AND path > :after_path
  AND NOT EXISTS (SELECT FROM condemnations c WHERE c.store = o.store AND c.path = coalesce(o.quarantine_path, o.path))
ORDER BY path
LIMIT :limit;

-- name: count_takeable_orphans
-- How many a run would put into quarantine, and how many would leave it for good.
SELECT count(*) FILTER (WHERE state = 'seen' AND seen_run_id = :run_id AND sightings >= :sightings
                          AND modified_at <= :modified_before) AS ripe,
       count(*) FILTER (WHERE state = 'quarantined' AND delete_after <= :now
                          AND NOT EXISTS (SELECT FROM condemnations c
                                          WHERE c.store = o.store AND c.path = coalesce(o.quarantine_path, o.path)))
           AS due
FROM orphans o
WHERE store = :store;

-- name: known_orphans
-- Orphans in quarantine that are replicas by now: recorded late. Damaged objects and those
-- with other bytes, whose path is their place there, are not. (A thumbnail can be made again.)
SELECT path, size_bytes, modified_at, sightings, state, quarantine_path, seen_run_id
FROM orphans o
WHERE store = :store AND state = 'quarantined' AND NOT path ^@ 'quarantine/'
  AND path > :after_path AND EXISTS (SELECT FROM replicas r WHERE r.store = o.store AND r.path = o.path)
ORDER BY path
LIMIT :limit;

-- name: quarantined_orphans
-- The next ones in quarantine: one path, or what one run put there, or all.
SELECT path, size_bytes, modified_at, sightings, state, quarantine_path, seen_run_id
FROM orphans
WHERE store = :store AND state = 'quarantined' AND NOT path ^@ 'quarantine/' AND path > :after_path
  AND (:only_path::text IS NULL OR path = :only_path) AND (:only_run::text IS NULL OR quarantined_by = :only_run)
ORDER BY path
LIMIT :limit;

-- name: quarantine_orphans
-- Put orphans that stand unchanged since a run saw them into quarantine. One row for each that is there now.
UPDATE orphans o
SET state = 'quarantined', quarantine_path = n.quarantine_path, quarantined_at = :now, quarantined_by = :run_id,
    delete_after = :delete_after
FROM json_to_recordset(:rows::json) AS n (path text, quarantine_path text)
WHERE o.store = :store AND o.path = n.path AND o.state = 'seen' AND o.seen_run_id = :run_id
RETURNING o.path;

-- name: part_orphans!
-- What lies in quarantine has other bytes than what its path belongs to: its path is its place there.
UPDATE orphans o SET path = o.quarantine_path, quarantine_path = NULL
WHERE o.store = :store AND o.path = ANY (:paths::text[]) AND o.state = 'quarantined' AND o.quarantine_path IS NOT NULL;

-- name: quarantine_damaged!
-- Objects that are not what their replicas should be, and lie in quarantine now.
INSERT INTO orphans (store, path, size_bytes, modified_at, first_seen_at, last_seen_at, seen_run_id, state, quarantined_at,
                     quarantined_by, delete_after)
SELECT :store, path, size_bytes, modified_at, :now, :now, :run_id, 'quarantined', :now, :run_id, :delete_after
FROM json_to_recordset(:rows::json) AS n (path text, size_bytes bigint, modified_at timestamptz)
ON CONFLICT (store, path) DO NOTHING;
