-- name: prepare_comparison
-- For this connection, join whole tables in memory, and compile nothing.
SELECT set_config('work_mem', '64MB', false) AS memory, set_config('jit', 'off', false) AS jit;

-- name: note_rows!
-- What the catalogue knows of a store before its listing begins: replicas, thumbnails, which can be made again, and what
-- lies in quarantine. Gone with the connection.
CREATE TEMPORARY TABLE noted_rows AS
SELECT segment_id, start_time, path, size_bytes, state FROM replicas WHERE store = :store
UNION ALL
SELECT segment_id, start_time, path, NULL, NULL FROM thumbnails WHERE store = :store
UNION ALL
SELECT NULL, NULL, coalesce(quarantine_path, path), NULL, NULL FROM orphans
WHERE store = :store AND state = 'quarantined' AND coalesce(quarantine_path, path) ^@ 'quarantine/';

-- name: make_listing!
-- Room for a store's listing; modified_at is in seconds since 1970, by the store's clock. Gone with the connection.
CREATE TEMPORARY TABLE listed_objects AS
SELECT '' COLLATE "C" AS path, 0::bigint AS size_bytes, 0::double precision AS modified_at WITH NO DATA;

-- name: compare_listing!
-- Where listing and rows do not agree, or a row is doubted, one row for each path; `unknown` only below these prefixes.
-- No index helps: both sides are read once and joined by hash. A path that was listed twice counts once.
CREATE TEMPORARY TABLE differences AS
SELECT row_number() OVER (ORDER BY kind, path) AS number, d.*
FROM (
    SELECT DISTINCT ON (coalesce(n.path, l.path))
           coalesce(n.path, l.path) AS path, n.segment_id, n.start_time, n.state, n.size_bytes AS expected_bytes,
           l.size_bytes, to_timestamp(l.modified_at) AS modified_at,
           CASE WHEN n.path IS NULL THEN 'unknown' WHEN l.path IS NULL THEN 'missing'
                WHEN l.size_bytes <> n.size_bytes THEN 'wrong_size' ELSE 'doubted' END AS kind
    FROM noted_rows n
    FULL JOIN listed_objects l ON l.path = n.path
    WHERE (n.path IS NULL AND l.path ^@ ANY (:prefixes::text[]))
       OR (n.state <> 'condemned'
           AND (l.path IS NULL OR l.size_bytes <> n.size_bytes OR n.state IN ('suspicious', 'lost')))
    ORDER BY coalesce(n.path, l.path), l.modified_at DESC) d;

-- name: sum_up_comparison
-- What was compared: replicas that should be there, those that were not doubted before, and lie outside our own
-- prefixes; and the differences. `absent` are undoubted ones that are not as they should be.
SELECT rows.replicas, rows.outside, differences.*
FROM (SELECT count(*) FILTER (WHERE state <> 'condemned') AS replicas,
             count(*) FILTER (WHERE state <> 'condemned' AND NOT path ^@ ANY (:prefixes::text[])) AS outside
      FROM noted_rows) rows,
     (SELECT count(*) FILTER (WHERE kind IN ('missing', 'wrong_size') AND state = 'available') AS absent,
             count(*) FILTER (WHERE kind = 'missing') AS missing,
             count(*) FILTER (WHERE kind = 'missing' AND NOT path ^@ ANY (:prefixes::text[])) AS missing_outside
      FROM differences) differences;

-- name: count_outside
-- How many replicas lie outside our own prefixes: adopted where they were, or of a tier that was elsewhere once.
SELECT count(*) AS outside FROM noted_rows WHERE state IS NOT NULL AND NOT path ^@ ANY (:prefixes::text[]);

-- name: differences_after
-- The next differences of some kinds.
SELECT number, path, segment_id, start_time, state, expected_bytes, size_bytes, modified_at, kind
FROM differences
WHERE number > :after_number AND kind = ANY (:kinds::text[])
ORDER BY number
LIMIT :limit;

-- name: known_objects
-- Which of these objects of a store are known now: replica, thumbnail, condemned, an export's, an orphan's place in
-- quarantine, or one that could be the destination of a transfer or tier move under way, by the segment that its key names.
SELECT o.path
FROM json_to_recordset(:rows::json) AS o (path text, segment_id uuid)
WHERE EXISTS (SELECT FROM replicas r WHERE r.store = :store AND r.path = o.path)
   OR EXISTS (SELECT FROM thumbnails t WHERE t.segment_id = o.segment_id AND t.store = :store AND t.path = o.path)
   OR EXISTS (SELECT FROM condemnations c WHERE c.store = :store AND c.path = o.path)
   OR EXISTS (SELECT FROM exports e WHERE e.store = :store AND e.file_path = o.path)
   OR EXISTS (SELECT FROM orphans q WHERE q.store = :store AND q.quarantine_path = o.path)
   OR EXISTS (SELECT FROM transfer_items i WHERE i.segment_id = o.segment_id AND i.destination_store = :store
                                             AND i.state IN ('pending', 'claimed'))
   OR EXISTS (SELECT FROM tier_moves m WHERE m.segment_id = o.segment_id AND m.state IN ('pending', 'claimed'));

-- name: wanted_segments
-- Those of these segments that lack what an unknown object may be: their replica in the store is doubted, or none of
-- their replicas is available.
SELECT s.id, s.start_time, s.size_bytes, s.checksum
FROM segments s
WHERE s.id = ANY (:segment_ids::uuid[])
  AND (EXISTS (SELECT FROM replicas r WHERE r.segment_id = s.id AND r.start_time = s.start_time AND r.store = :store
                                        AND r.state IN ('suspicious', 'lost'))
       OR NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = s.id AND r.start_time = s.start_time
                                               AND (r.state = 'available' OR r.store = :store)));
