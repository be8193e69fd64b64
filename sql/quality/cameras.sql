-- What cameras must have recorded. `looked` are cameras in service, or their days; each query gives the rows that are wrong.

-- name: camera_silence
-- Cameras that have gone silent: the last segment ended too long ago.
SELECT c.id AS camera_id, c.tenant, c.slug AS camera, c.last_end,
       round(extract(epoch FROM :now - c.last_end) / 3600, 1) AS silent_hours
FROM looked c
WHERE c.last_end < :now - :silent_after
ORDER BY c.last_end, c.id;

-- name: camera_coverage
-- Days of which a camera recorded too little.
SELECT d.id AS camera_id, d.tenant, d.slug AS camera, d.day::date AS day, d.segments,
       round(d.coverage_ratio, 4) AS coverage_ratio
FROM looked d
WHERE d.coverage_ratio < :min_coverage_ratio
ORDER BY d.day, d.id;
