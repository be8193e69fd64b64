-- What replicas must be. `looked` are those that are looked at, or, for the first, segments; each query gives the rows that
-- are wrong.

-- name: verified_replica
-- Segments without one verified replica at least. Those whose retention is over are about to leave, and need none.
SELECT s.id AS segment_id, c.slug AS camera, s.start_time,
       (SELECT string_agg(r.store || ': ' || r.state, ', ' ORDER BY r.store) FROM replicas r
        WHERE r.segment_id = s.id AND r.start_time = s.start_time
          AND r.start_time >= :first AND r.start_time < :last) AS replicas
FROM looked s LEFT JOIN cameras c ON c.id = s.camera_id
WHERE NOT EXISTS (SELECT FROM replicas r
                  WHERE r.segment_id = s.id AND r.start_time = s.start_time
                    AND r.start_time >= :first AND r.start_time < :last
                    AND r.state = 'available' AND r.verified_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM condemnations d WHERE d.segment_id = s.id AND d.reason = 'expired')
ORDER BY s.camera_id, s.start_time;

-- name: replica_matches
-- Replicas of another size or checksum than their segment's.
SELECT r.segment_id, r.store, r.start_time, r.path, r.size_bytes, r.segment_bytes AS expected_bytes, r.checksum,
       r.segment_checksum AS expected_checksum
FROM looked r
WHERE (r.size_bytes, r.checksum) IS DISTINCT FROM (r.segment_bytes, r.segment_checksum)
ORDER BY r.start_time, r.segment_id, r.store;

-- name: replica_checksums
-- Replicas whose checksum is no SHA-256 in small hexadecimal digits.
SELECT r.segment_id, r.store, r.start_time, r.checksum
FROM looked r
WHERE r.checksum IS NULL OR r.checksum !~ '^[0-9a-f]{64}$'
ORDER BY r.start_time, r.segment_id, r.store;

-- name: replica_sizes
-- Replicas without bytes.
SELECT r.segment_id, r.store, r.start_time, r.size_bytes
FROM looked r
WHERE r.size_bytes IS NULL OR r.size_bytes <= 0
ORDER BY r.start_time, r.segment_id, r.store;

-- name: replica_fields
-- Replicas that lack what is required, or that say what cannot be; `fields` names which. An available one was verified,
-- and not in the future; its store is one of the estate.
SELECT r.segment_id, r.store, r.start_time, wrong.fields
FROM looked r
CROSS JOIN LATERAL (SELECT concat_ws(' ',
    CASE WHEN r.store <> ALL (:stores::text[]) THEN 'store' END,
    CASE WHEN coalesce(r.path, '') = '' THEN 'path' END,
    CASE WHEN r.state IS NULL OR r.state NOT IN ('available', 'suspicious', 'lost', 'condemned') THEN 'state' END,
    CASE WHEN r.tier IS NULL OR r.tier NOT IN ('HOT', 'COOL', 'COLD', 'ARCHIVE') THEN 'tier' END,
    CASE WHEN r.state = 'available' AND r.verified_at IS NULL OR r.verified_at > :now + :clock_tolerance
         THEN 'verified_at' END) AS fields) wrong
WHERE wrong.fields <> ''
ORDER BY r.start_time, r.segment_id, r.store;

-- name: replica_paths
-- Replicas that share their object with another one's of the same month: what deletes the one deletes both. Days stand in
-- the keys, so that two of different months do not come by the same one.
SELECT shared.segment_id, shared.store, shared.start_time, shared.path
FROM (SELECT r.segment_id, r.store, r.start_time, r.path, count(*) OVER (PARTITION BY r.store, r.path) AS replicas
      FROM looked r) shared
WHERE shared.replicas > 1
ORDER BY shared.store, shared.path, shared.segment_id;
