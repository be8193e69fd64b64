-- How long footage takes to be read for people, and what of it fails.

-- A retrieval: one try to read one copy of a segment for an export, on whichever worker; append-only history. Three calls
-- that follow one another after errors that may pass are one try, as with transfers. A copy that failed is one, and the
-- next copy of the same segment is another. A task that begins anew reads anew: that is counted again, as it is read
-- again. What a camera is cut from is told here when all of it was read, before it is cut: a worker that is killed while
-- it reads has told nothing of that camera.
--
-- Not partitioned: an export is asked for by a person, and leaves as many rows in export_sources.
CREATE TABLE retrievals (
    id          uuid PRIMARY KEY,             -- given by who read: a call that is repeated adds nothing
    export_id   uuid NOT NULL,                -- no foreign key, and none below: history outlives what it tells of
    segment_id  uuid NOT NULL,
    start_time  timestamptz NOT NULL,         -- of the segment
    store       text NOT NULL CHECK (store <> ''),
    outcome     text NOT NULL CHECK (outcome IN ('succeeded', 'failed')),
    error_code  text CHECK ((error_code IS NOT NULL) = (outcome = 'failed')),
    size_bytes  bigint NOT NULL CHECK (size_bytes > 0),   -- of the segment, also where it could not be read
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,         -- when its bytes were here and proved by their SHA-256, or it had failed
    CHECK (finished_at >= started_at)
);

-- The tally of what was read is kept by outcome, error ('' without) and duration as well. latency_class -1: nobody knows how
-- long it took, so that it is counted and enters no histogram; its microseconds are 0. So are all segments that were read
-- before retrievals were kept, and those that are read elsewhere, of which we only said where they are (`locate`). What is
-- counted so has no rows to be counted anew by.
ALTER TABLE retrieval_tallies
    DROP CONSTRAINT retrieval_tallies_pkey,
    ADD COLUMN outcome       text NOT NULL DEFAULT 'succeeded',
    ADD COLUMN error_code    text NOT NULL DEFAULT '',
    ADD COLUMN latency_class smallint NOT NULL DEFAULT -1,
    ADD COLUMN microseconds  bigint NOT NULL DEFAULT 0,
    ADD PRIMARY KEY (store, outcome, error_code, latency_class);
ALTER TABLE retrieval_changes
    ADD COLUMN outcome       text NOT NULL DEFAULT 'succeeded',
    ADD COLUMN error_code    text NOT NULL DEFAULT '',
    ADD COLUMN latency_class smallint NOT NULL DEFAULT -1,
    ADD COLUMN microseconds  bigint NOT NULL DEFAULT 0;
-- The defaults were for the rows that are there.
ALTER TABLE retrieval_tallies
    ALTER COLUMN outcome DROP DEFAULT, ALTER COLUMN error_code DROP DEFAULT, ALTER COLUMN latency_class DROP DEFAULT,
    ALTER COLUMN microseconds DROP DEFAULT;
ALTER TABLE retrieval_changes
    ALTER COLUMN outcome DROP DEFAULT, ALTER COLUMN error_code DROP DEFAULT, ALTER COLUMN latency_class DROP DEFAULT,
    ALTER COLUMN microseconds DROP DEFAULT;

-- Retrievals are counted in place of the sources of exports, which tell neither what failed nor how long anything took.
DROP TRIGGER tally ON export_sources;
DROP FUNCTION tally_export_sources();

CREATE FUNCTION tally_retrievals() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO retrieval_changes (store, outcome, error_code, latency_class, segments, size_bytes, microseconds)
    SELECT store, outcome, coalesce(error_code, ''), latency_class(extract(epoch FROM finished_at - started_at)::float8),
           count(*), sum(size_bytes), sum(microseconds(finished_at - started_at))
    FROM came GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;
CREATE TRIGGER tally AFTER INSERT ON retrievals REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION tally_retrievals();

-- The tally as it must be, of what has rows; and what it and its changes are off by, as with the other tallies.
CREATE VIEW counted_retrievals AS
SELECT store, outcome, coalesce(error_code, '') AS error_code,
       latency_class(extract(epoch FROM finished_at - started_at)::float8) AS latency_class,
       count(*) AS segments, sum(size_bytes)::bigint AS size_bytes,
       sum(microseconds(finished_at - started_at))::bigint AS microseconds
FROM retrievals GROUP BY 1, 2, 3, 4;

CREATE VIEW retrieval_drift AS
SELECT store, outcome, error_code, latency_class, sum(segments)::bigint AS segments, sum(size_bytes)::bigint AS size_bytes,
       sum(microseconds)::bigint AS microseconds
FROM (SELECT store, outcome, error_code, latency_class, segments, size_bytes, microseconds FROM counted_retrievals
      UNION ALL SELECT store, outcome, error_code, latency_class, -segments, -size_bytes, -microseconds
                FROM retrieval_tallies WHERE latency_class >= 0
      UNION ALL SELECT store, outcome, error_code, latency_class, -segments, -size_bytes, -microseconds
                FROM retrieval_changes WHERE latency_class >= 0) AS compared
GROUP BY store, outcome, error_code, latency_class
HAVING sum(segments) <> 0 OR sum(size_bytes) <> 0 OR sum(microseconds) <> 0;
