-- name: upsert_thumbnails!
-- Store thumbnails; one that was there is replaced.
INSERT INTO thumbnails (segment_id, start_time, store, path, width, height)
SELECT segment_id, start_time, store, path, width, height
FROM json_to_recordset(:rows::json) AS n (
    segment_id uuid, start_time timestamptz, store text, path text, width integer, height integer)
ORDER BY start_time, segment_id
ON CONFLICT (segment_id, start_time) DO UPDATE SET
    store = excluded.store, path = excluded.path, width = excluded.width, height = excluded.height, created_at = now();

-- name: thumbnails_of_segments
-- The thumbnails of these segments. first_start and last_start bound them, so that other months are not looked at.
SELECT t.*
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz)
JOIN thumbnails t ON t.segment_id = n.segment_id AND t.start_time = n.start_time
WHERE t.start_time BETWEEN :first_start AND :last_start;
