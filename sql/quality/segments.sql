-- What segments must be. `looked` are those that are looked at; each query gives the rows that are wrong.

-- name: segment_ranges
-- Segments that do not end after they start, or that last for longer than a day.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time, s.end_time
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE s.end_time <= s.start_time OR s.end_time - s.start_time > interval '24 hours'
ORDER BY s.camera_id, s.start_time;

-- name: segment_overlaps
-- Segments that start before one that began earlier, of the same camera, has ended, by more than the tolerance; with one
-- that each overlaps for longest. Each day of a camera is read once, with the day before it, as no segment is longer than
-- a day, and `furthest` carries the latest end there was so far from row to row: a look at the one right before would miss
-- a long one behind a short one. What a run took in may have come before what was there: with `looks_ahead` those that
-- began later are looked at as well.
WITH days AS (
    SELECT camera_id, date_trunc('day', start_time) AS day, min(start_time) AS first, max(start_time) AS last
    FROM looked GROUP BY camera_id, date_trunc('day', start_time)
), around AS (
    SELECT id, camera_id, date_trunc('day', start_time) AS day, start_time, end_time, true AS is_looked_at FROM looked
    UNION ALL
    SELECT o.id, days.camera_id, days.day, o.start_time, o.end_time, false
    FROM days
    CROSS JOIN LATERAL (
        SELECT id, start_time, end_time FROM segments
        WHERE camera_id = days.camera_id AND start_time >= days.first - interval '24 hours'
          AND start_time < CASE WHEN :looks_ahead THEN days.last ELSE days.first END
          AND start_time >= :day_before AND start_time < :last
        OFFSET 0) o
), reached AS (
    SELECT *, max(ARRAY[end_time, start_time]) OVER (PARTITION BY camera_id, day ORDER BY start_time
                                                     GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS furthest
    FROM around
), pairs AS (
    SELECT s.id, s.camera_id, s.start_time, s.end_time, o.id AS other_id, o.start_time AS other_start_time,
           o.end_time AS other_end_time
    FROM reached s
    CROSS JOIN LATERAL (
        SELECT id, start_time, end_time FROM segments
        WHERE camera_id = s.camera_id AND start_time = s.furthest[2]
          AND start_time >= :day_before AND start_time < :last
        OFFSET 0) o
    WHERE s.is_looked_at AND least(s.end_time, s.furthest[1]) - s.start_time > :overlap_tolerance
    UNION ALL
    SELECT s.id, s.camera_id, s.start_time, s.end_time, o.id, o.start_time, o.end_time
    FROM looked s
    CROSS JOIN LATERAL (
        SELECT id, start_time, end_time FROM segments
        WHERE :looks_ahead AND camera_id = s.camera_id AND start_time > s.start_time
          AND start_time < s.end_time - :overlap_tolerance AND end_time - start_time > :overlap_tolerance
          AND start_time >= :first AND start_time < :day_after
        ORDER BY start_time LIMIT 1) o
)
SELECT DISTINCT ON (s.camera_id, s.start_time)
       s.id AS segment_id, c.slug AS camera, s.start_time, s.end_time, s.other_id AS overlaps_segment_id,
       s.other_start_time AS overlaps_start_time, s.other_end_time AS overlaps_end_time,
       round(extract(epoch FROM least(s.end_time, s.other_end_time) - greatest(s.start_time, s.other_start_time)), 3)
           AS overlap_seconds
FROM pairs s
LEFT JOIN cameras c ON c.id = s.camera_id
ORDER BY s.camera_id, s.start_time, overlap_seconds DESC;

-- name: segment_clocks
-- Segments that end in the future: their camera's clock is ahead.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time, s.end_time, s.created_at
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE s.end_time > :now + :clock_tolerance
ORDER BY s.camera_id, s.start_time;

-- name: segment_checksums
-- Segments whose checksum is no SHA-256 in small hexadecimal digits, or that of no bytes at all.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time, s.checksum, s.size_bytes
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE s.checksum IS NULL OR s.checksum !~ '^[0-9a-f]{64}$'
   OR s.checksum = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
ORDER BY s.camera_id, s.start_time;

-- name: segment_sizes
-- Segments without bytes.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time, s.size_bytes
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE s.size_bytes IS NULL OR s.size_bytes <= 0
ORDER BY s.camera_id, s.start_time;

-- name: segment_bitrates
-- Segments that are too small or too large for how long they last.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time, s.end_time, s.size_bytes,
       round((s.size_bytes / s.duration_seconds)::numeric, 1) AS bytes_per_second
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE s.size_bytes > 0 AND s.duration_seconds > 0
  AND (s.size_bytes < :least_bytes_per_second * s.duration_seconds
       OR s.size_bytes > :most_bytes_per_second * s.duration_seconds)
ORDER BY s.camera_id, s.start_time;

-- name: segment_fields
-- Segments that lack what is required, or that say what cannot be; `fields` names which. Where they are read from is a
-- store of the estate.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time, wrong.fields
FROM looked s
LEFT JOIN cameras c ON c.id = s.camera_id
CROSS JOIN LATERAL (SELECT concat_ws(' ',
    CASE WHEN s.extension IS NULL OR s.extension !~ '^[a-z0-9]{1,10}$' THEN 'extension' END,
    CASE WHEN coalesce(s.container, '') = '' THEN 'container' END,
    CASE WHEN coalesce(s.video_codec, '') = '' THEN 'video_codec' END,
    CASE WHEN s.width IS NULL OR s.width <= 0 THEN 'width' END,
    CASE WHEN s.height IS NULL OR s.height <= 0 THEN 'height' END,
    CASE WHEN s.frame_rate <= 0 THEN 'frame_rate' END,
    CASE WHEN s.has_audio IS NULL THEN 'has_audio' END,
    CASE WHEN s.rollout_bucket IS NULL OR s.rollout_bucket NOT BETWEEN 0 AND 9999 THEN 'rollout_bucket' END,
    CASE WHEN s.storage_backend IS NULL OR s.storage_backend <> ALL (:stores::text[]) THEN 'storage_backend' END,
    CASE WHEN coalesce(s.storage_path, '') = '' THEN 'storage_path' END,
    CASE WHEN s.created_at IS NULL THEN 'created_at' END) AS fields) wrong
WHERE wrong.fields <> ''
ORDER BY s.camera_id, s.start_time;

-- name: segment_retention
-- Segments of which nobody knows how long they are kept: their camera is not known, or its retention is no time.
SELECT s.id AS segment_id, s.camera_id, c.slug AS camera, s.start_time, c.retention_days
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE c.id IS NULL OR coalesce(c.retention_days, :default_days) <= 0
ORDER BY s.camera_id, s.start_time;
