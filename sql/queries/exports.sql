-- name: export_states
-- How these exports stand.
SELECT id, status FROM exports WHERE id = ANY (:ids::uuid[]);

-- name: ended_exports
-- The exports whose time is over. One that is said to run so long after its end has died.
SELECT id, store, expires_at FROM exports
WHERE status <> 'EXPIRED' AND expires_at <= :now
ORDER BY expires_at, id;

-- name: expire_exports!
-- These exports are over, unless somebody made them last longer.
UPDATE exports SET status = 'EXPIRED', download_url = NULL
WHERE id = ANY (:ids::uuid[]) AND status <> 'EXPIRED' AND expires_at <= :now;
