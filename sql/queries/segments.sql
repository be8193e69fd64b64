-- name: find_segments
-- The segments with these names. first_start and last_start bound them, so that other months are not looked at.
SELECT s.*
FROM json_to_recordset(:rows::json) AS n (camera_id uuid, start_time timestamptz)
JOIN segments s ON s.camera_id = n.camera_id AND s.start_time = n.start_time
WHERE s.start_time BETWEEN :first_start AND :last_start;

-- name: segments_overlapping
-- The segments of a camera that share an instant with a range. The longest segment bounds how far back to look.
SELECT s.*
FROM segments s
WHERE s.camera_id = :camera_id
  AND s.start_time < :range_end
  AND s.start_time > :range_start - interval '24 hours'
  AND s.end_time > :range_start
ORDER BY s.start_time;

-- name: segment_by_id
-- One segment, looked for in every month.
SELECT s.* FROM segments s WHERE s.id = :segment_id;

-- name: insert_segments
-- Add segments, in an order that keeps two recorders of the same footage from a deadlock. One row for each that is new.
INSERT INTO segments (id, camera_id, start_time, end_time, size_bytes, checksum, extension, container, video_codec,
                      width, height, frame_rate, has_audio, rollout_bucket, storage_backend, storage_path)
SELECT id, camera_id, start_time, end_time, size_bytes, checksum, extension, container, video_codec,
       width, height, frame_rate, has_audio, rollout_bucket, storage_backend, storage_path
FROM json_to_recordset(:rows::json) AS n (
    id uuid, camera_id uuid, start_time timestamptz, end_time timestamptz, size_bytes bigint, checksum text,
    extension text, container text, video_codec text, width integer, height integer, frame_rate double precision,
    has_audio boolean, rollout_bucket smallint, storage_backend text, storage_path text)
ORDER BY start_time, camera_id
ON CONFLICT DO NOTHING  -- of either key: the id follows from the other one, and two recorders may meet at each
RETURNING camera_id, start_time;

-- name: point_segments!
-- Make reads of segments ask the replica in this store first, where it is available.
UPDATE segments s SET storage_backend = r.store, storage_path = r.path
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store
WHERE s.id = n.segment_id AND s.start_time = n.start_time AND r.state = 'available'
  AND s.start_time BETWEEN :first_start AND :last_start
  AND r.start_time BETWEEN :first_start AND :last_start;

-- name: point_away!
-- Make reads of segments that ask one of these replicas first ask another one, where one is available.
UPDATE segments s SET storage_backend = r.store, storage_path = r.path
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store <> n.store
WHERE s.id = n.segment_id AND s.start_time = n.start_time AND s.storage_backend = n.store AND r.state = 'available'
  AND s.start_time BETWEEN :first_start AND :last_start
  AND r.start_time BETWEEN :first_start AND :last_start;
