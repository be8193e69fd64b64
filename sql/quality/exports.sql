-- What exports must be. `looked` are those that are looked at; each query gives the rows that are wrong.

-- name: export_fields
-- Exports that lack what is required, or that say what cannot be; `fields` names which.
SELECT e.id AS export_id, e.status, e.created_at, wrong.fields
FROM looked e
CROSS JOIN LATERAL (SELECT concat_ws(' ',
    CASE WHEN e.end_time <= e.start_time THEN 'end_time' END,
    CASE WHEN e.status NOT IN ('FAILED', 'EXPIRED') AND coalesce(e.reason, '') = '' THEN 'reason' END,
    CASE WHEN e.status NOT IN ('FAILED', 'EXPIRED') AND coalesce(e.created_by, '') = '' THEN 'created_by' END,
    CASE WHEN e.status NOT IN ('FAILED', 'EXPIRED') AND coalesce(cardinality(e.camera_ids), 0) = 0
         THEN 'camera_ids' END,
    CASE WHEN e.status = 'FAILED' AND e.failure IS NULL THEN 'failure' END,
    CASE WHEN e.status = 'COMPLETED' AND coalesce(e.file_path, '') = '' THEN 'file_path' END,
    CASE WHEN e.status = 'COMPLETED' AND coalesce(e.file_size, 0) <= 0 THEN 'file_size' END,
    CASE WHEN e.status = 'COMPLETED' AND coalesce(e.file_hash, '') !~ '^[0-9a-f]{64}$' THEN 'file_hash' END,
    CASE WHEN e.status = 'COMPLETED' AND coalesce(e.manifest_path, '') = '' THEN 'manifest_path' END,
    CASE WHEN e.status = 'COMPLETED' AND e.completed_at IS NULL THEN 'completed_at' END,
    CASE WHEN e.store <> ALL (:stores::text[]) THEN 'store' END) AS fields) wrong
WHERE wrong.fields <> ''
ORDER BY e.created_at, e.id;

-- name: export_files
-- Files of exports that are done which have no bytes or no SHA-256, and the export's own file and manifest where no such
-- file was recorded as the export tells it; `problem` says which.
SELECT e.id AS export_id, f.name, f.path, f.size_bytes, f.checksum, 'size or checksum' AS problem
FROM looked e JOIN export_files f ON f.export_id = e.id
WHERE e.status = 'COMPLETED' AND (f.size_bytes <= 0 OR f.checksum !~ '^[0-9a-f]{64}$')
UNION ALL
SELECT e.id, NULL, e.file_path, e.file_size, e.file_hash, 'no such file'
FROM looked e
WHERE e.status = 'COMPLETED'
  AND NOT EXISTS (SELECT FROM export_files f WHERE f.export_id = e.id AND f.path = e.file_path
                                               AND f.size_bytes = e.file_size AND f.checksum = e.file_hash)
UNION ALL
SELECT e.id, NULL, e.manifest_path, NULL, NULL, 'no manifest'
FROM looked e
WHERE e.status = 'COMPLETED'
  AND NOT EXISTS (SELECT FROM export_files f
                  WHERE f.export_id = e.id AND f.kind = 'manifest' AND f.path = e.manifest_path)
ORDER BY export_id, problem, path;

-- name: export_progress
-- Exports that are under way, and that nobody has touched for too long.
SELECT e.id AS export_id, e.status, e.created_at, e.updated_at, e.created_by
FROM looked e
WHERE e.status IN ('PENDING', 'PROCESSING') AND e.updated_at < :now - :stuck_after
ORDER BY e.updated_at, e.id;

-- name: export_expiry
-- Exports whose time was over long ago, and that are still there.
SELECT e.id AS export_id, e.status, e.expires_at, e.store
FROM looked e
WHERE e.status <> 'EXPIRED' AND e.expires_at < :now - :stuck_after
ORDER BY e.expires_at, e.id;
