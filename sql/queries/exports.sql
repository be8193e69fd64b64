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

-- name: export_by_id
-- One export, with all that its row says.
SELECT * FROM exports WHERE id = :id;

-- name: recent_exports
-- The exports that were asked for last, those under way first.
SELECT * FROM exports
WHERE id IN (SELECT id FROM exports ORDER BY created_at DESC LIMIT :limit)
   OR (status IN ('PENDING', 'PROCESSING') AND created_at >= :since)
ORDER BY status NOT IN ('PENDING', 'PROCESSING'), created_at DESC
LIMIT :limit;

-- name: exports_under_way
-- How many exports are not done yet, by the index of those that are not over.
SELECT count(*) AS exports FROM exports WHERE status IN ('PENDING', 'PROCESSING') AND status <> 'EXPIRED';

-- name: hold_export
-- One export, for this transaction alone.
SELECT * FROM exports WHERE id = :id FOR UPDATE;

-- name: accept_export!
-- An export begins, or one that failed begins anew: from now on it holds its footage.
INSERT INTO exports (id, tenant, camera_ids, start_time, end_time, format, quality, layout, gaps, watermark,
                     watermark_id, burns_time, burns_camera, packaging, ladder, kept_for, reason, request, triggered_by,
                     ip_address, user_agent, run_id, store, expires_at, created_by, created_at, updated_at)
SELECT id, tenant, camera_ids, start_time, end_time, format, quality, layout, gaps, watermark,
       watermark_id, burns_time, burns_camera, packaging, ladder, kept_for, reason, request, triggered_by,
       ip_address, user_agent, run_id, store, expires_at, created_by, :now, :now
FROM json_populate_recordset(NULL::exports, :rows::json)
ON CONFLICT (id) DO UPDATE SET
    camera_ids = excluded.camera_ids, start_time = excluded.start_time, end_time = excluded.end_time,
    format = excluded.format, quality = excluded.quality, layout = excluded.layout, gaps = excluded.gaps,
    watermark = excluded.watermark, watermark_id = excluded.watermark_id, burns_time = excluded.burns_time,
    burns_camera = excluded.burns_camera, packaging = excluded.packaging, ladder = excluded.ladder,
    kept_for = excluded.kept_for, reason = excluded.reason, request = excluded.request, triggered_by = excluded.triggered_by,
    ip_address = excluded.ip_address, user_agent = excluded.user_agent, run_id = excluded.run_id,
    store = excluded.store, expires_at = excluded.expires_at, created_by = excluded.created_by,
    updated_at = excluded.updated_at, status = 'PENDING', progress = 0, started_at = NULL, failure = NULL,
    failure_code = NULL, attempt = exports.attempt + 1
WHERE exports.status = 'FAILED';

-- name: refuse_export!
-- A request that was refused, with what could be made of it, unless there is an export of this id.
INSERT INTO exports (id, tenant, format, reason, created_by, request, triggered_by, ip_address, user_agent, run_id,
                     expires_at, created_at, updated_at, status, failure_code, failure)
SELECT id, tenant, format, reason, created_by, request, triggered_by, ip_address, user_agent, run_id,
       expires_at, :now, :now, 'FAILED', failure_code, failure
FROM json_populate_recordset(NULL::exports, :rows::json)
ON CONFLICT (id) DO UPDATE SET
    request = excluded.request, run_id = excluded.run_id, updated_at = excluded.updated_at,
    failure_code = excluded.failure_code, failure = excluded.failure
WHERE exports.status = 'FAILED';

-- name: forget_export_cameras!
-- What an earlier attempt at an export found; its sources go with it.
DELETE FROM export_cameras WHERE export_id = :id;

-- name: insert_export_cameras!
-- The cameras of an export.
INSERT INTO export_cameras (export_id, number, camera_id)
SELECT :id, number - 1, camera_id FROM unnest(:camera_ids::uuid[]) WITH ORDINALITY AS asked (camera_id, number);

-- name: export_cameras
-- The cameras of an export in their order, and what became of them.
SELECT e.number, e.state, e.done_ratio, e.cut, c.id, c.tenant, c.slug, c.name, c.retention_days
FROM export_cameras e JOIN cameras c ON c.id = e.camera_id
WHERE e.export_id = :id
ORDER BY e.number;

-- name: begin_export!
-- Work on an export begins.
UPDATE exports SET status = 'PROCESSING', started_at = coalesce(started_at, :now), updated_at = :now
WHERE id = :id AND attempt = :attempt AND status IN ('PENDING', 'PROCESSING');

-- name: note_camera_progress!
-- How far the cutting of a camera is.
UPDATE export_cameras SET done_ratio = greatest(done_ratio, :done_ratio)
WHERE export_id = :id AND number = :number AND state = 'pending';

-- name: note_export_progress!
-- How far an export is, of the percents from `low` to `high`: by what is given, or by its cameras.
UPDATE exports
SET progress = greatest(progress, floor(:low + (:high - :low) * coalesce(
        :done_ratio, (SELECT avg(done_ratio) FROM export_cameras WHERE export_id = :id), 0))),
    updated_at = :now
WHERE id = :id AND attempt = :attempt AND status IN ('PENDING', 'PROCESSING');

-- name: record_export_camera!
-- What became of a camera, unless another worker was first.
UPDATE export_cameras SET state = :state, done_ratio = 1, cut = :cut::jsonb
WHERE export_id = :id AND number = :number AND state = 'pending';

-- name: insert_export_sources!
-- What a camera was cut from.
INSERT INTO export_sources (export_id, number, segment_id, start_time, end_time, size_bytes, checksum, store, path, note)
SELECT :id, :number, segment_id, start_time, end_time, size_bytes, checksum, store, path, note
FROM json_populate_recordset(NULL::export_sources, :rows::json);

-- name: insert_retrievals!
-- What was read for an export, or could not be. One of an id that is there was told before.
INSERT INTO retrievals (id, export_id, segment_id, start_time, store, outcome, error_code, size_bytes, started_at, finished_at)
SELECT id, :export_id, segment_id, start_time, store, CASE WHEN error_code IS NULL THEN 'succeeded' ELSE 'failed' END,
       error_code, size_bytes, started_at, finished_at
FROM json_populate_recordset(NULL::retrievals, :rows::json)
ON CONFLICT (id) DO NOTHING;

-- name: export_sources
-- What an export was cut from.
SELECT * FROM export_sources WHERE export_id = :id ORDER BY number, start_time;

-- name: insert_export_files!
-- Objects of an export. One of a name that is there was recorded by another worker, which was first.
INSERT INTO export_files (export_id, name, kind, number, store, path, size_bytes, checksum, content_type, facts, created_at)
SELECT :id, name, kind, number, store, path, size_bytes, checksum, content_type, facts, :now
FROM json_populate_recordset(NULL::export_files, :rows::json)
ON CONFLICT (export_id, name) DO NOTHING;

-- name: export_files
-- The objects of an export, what people ask for first.
SELECT * FROM export_files WHERE export_id = :id
ORDER BY array_position(ARRAY['footage', 'manifest', 'thumbnail', 'contact_sheet', 'package', 'part'], kind), number, name;

-- name: forget_export_files!
-- Objects of an export that are gone, or are about to go.
DELETE FROM export_files WHERE export_id = :id AND name = ANY (:names::text[]);

-- name: complete_export!
-- An export is done: people may have it, and its footage is held no longer.
UPDATE exports
SET status = 'COMPLETED', progress = 100, file_path = :file_path, file_size = :file_size, file_hash = :file_hash,
    download_url = :download_url, manifest_path = :manifest_path, thumbnail_path = :thumbnail_path,
    contact_sheet_path = :contact_sheet_path, completed_at = :now, updated_at = :now, expires_at = :expires_at,
    failure_code = NULL, failure = NULL
WHERE id = :id AND attempt = :attempt AND status = 'PROCESSING';

-- name: note_export_trouble!
-- What went wrong while an export is under way: the reason, should nothing help.
UPDATE exports SET failure_code = :failure_code, failure = :failure, updated_at = :now
WHERE id = :id AND attempt = :attempt AND status IN ('PENDING', 'PROCESSING');

-- name: forget_export_trouble!
-- A step that had gone wrong is done after all.
UPDATE exports SET failure_code = NULL, failure = NULL
WHERE id = :id AND attempt = :attempt AND status IN ('PENDING', 'PROCESSING') AND starts_with(failure, :step);

-- name: fail_export!
-- An export failed, for the last thing that went wrong, or as is given; its footage is held no longer.
UPDATE exports
SET status = 'FAILED', failure_code = coalesce(failure_code, :failure_code), failure = coalesce(failure, :failure),
    updated_at = :now
WHERE id = :id AND attempt = :attempt AND status IN ('PENDING', 'PROCESSING');
