-- Tallies: the counts and sums that figures are read from, so that nobody goes through the footage to learn how much there
-- is of it.
--
-- Triggers count. Each statement that changes what is counted appends a few rows to a change table, in its own transaction:
-- they are kept if, and only if, what they count is. Nobody waits for another, as nothing is updated. `fold` (catalogue/
-- tallies.py) takes changes away and adds them to the tallies, in one transaction. What holds at a moment is a tally and
-- the changes not yet folded into it, read together. Where a tally's key is text that may be missing, '' stands for none.
--
-- Statement triggers on a partitioned table see what changes in its partitions by way of it: write to no partition itself.

-- latency_class(seconds): which of the classes of reporting/figures.py LATENCY_BOUNDS a duration falls into, from 0; a
-- class holds its upper bound.
CREATE FUNCTION latency_class(seconds double precision) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN seconds <= 0.05 THEN 0 WHEN seconds <= 0.1 THEN 1 WHEN seconds <= 0.25 THEN 2
                WHEN seconds <= 0.5 THEN 3 WHEN seconds <= 1 THEN 4 WHEN seconds <= 2.5 THEN 5 WHEN seconds <= 5 THEN 6
                WHEN seconds <= 10 THEN 7 WHEN seconds <= 30 THEN 8 WHEN seconds <= 60 THEN 9 WHEN seconds <= 120 THEN 10
                WHEN seconds <= 300 THEN 11 ELSE 12 END::smallint
$$;

-- microseconds(interval): whole ones, as sums of them are exact.
CREATE FUNCTION microseconds(span interval) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(epoch FROM span) * 1000000)::bigint
$$;

-- utc_day(time): the UTC day that holds an instant.
CREATE FUNCTION utc_day(moment timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS $$
    SELECT (moment AT TIME ZONE 'UTC')::date
$$;

-- recorded_days(start_time, end_time, size_bytes): the UTC days that a segment was recorded on, one or two as it is not
-- longer than a day. Its bytes are shared among them by time; it starts on the first.
CREATE FUNCTION recorded_days(start_time timestamptz, end_time timestamptz, size_bytes bigint)
RETURNS TABLE (day date, starts integer, microseconds bigint, size_bytes bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT d.day, d.starts, d.microseconds,
           CASE WHEN d.microseconds = microseconds($2 - $1) THEN $3
                WHEN d.starts = 1 THEN floor($3 * (d.microseconds / microseconds($2 - $1)::float8))::bigint
                ELSE $3 - floor($3 * ((microseconds($2 - $1) - d.microseconds) / microseconds($2 - $1)::float8))::bigint
           END
    FROM (SELECT utc_day($1) AS day, 1 AS starts,
                 microseconds(least($2, (utc_day($1) + 1)::timestamp AT TIME ZONE 'UTC') - $1) AS microseconds
          UNION ALL
          SELECT utc_day($1) + 1, 0, microseconds($2 - (utc_day($1) + 1)::timestamp AT TIME ZONE 'UTC')) AS d
    WHERE d.microseconds > 0
$$;

-- Usage: how many replicas have all of this in common, and their bytes. `retiring` are those that have a day to leave on.
CREATE TABLE usage_tallies (
    store         text NOT NULL,
    tenant        text NOT NULL,
    tier          text NOT NULL,
    storage_class text NOT NULL,
    state         text NOT NULL,
    replicas      bigint NOT NULL,
    size_bytes    bigint NOT NULL,
    retiring      bigint NOT NULL,
    PRIMARY KEY (store, tenant, tier, storage_class, state)
);
CREATE TABLE usage_changes (LIKE usage_tallies);

-- Placement: how many segments have an available replica in a store; in store '': how many there are at all. By rollout
-- bucket, for the number that a percentage has not reached; by day of start and percent (100 buckets), for the oldest.
CREATE TABLE placement_buckets (
    store    text NOT NULL,
    bucket   smallint NOT NULL,
    segments bigint NOT NULL,
    PRIMARY KEY (store, bucket)
);
CREATE TABLE placement_days (
    store    text NOT NULL,
    day      date NOT NULL,
    percent  smallint NOT NULL,
    segments bigint NOT NULL,
    PRIMARY KEY (store, day, percent)
);
-- One row: segments that came (change 1) or went (-1), by their buckets.
CREATE TABLE placement_changes (
    store   text NOT NULL,
    day     date NOT NULL,
    change  smallint NOT NULL CHECK (change IN (1, -1)),
    buckets smallint[] NOT NULL
);

-- What a camera recorded on a UTC day. `segments` are those that share an instant with the day, `starts` those that start
-- on it; bytes and time are the day's own share.
CREATE TABLE camera_days (
    camera_id    uuid NOT NULL,
    day          date NOT NULL,
    segments     bigint NOT NULL,
    starts       bigint NOT NULL,
    microseconds bigint NOT NULL,
    size_bytes   bigint NOT NULL,
    PRIMARY KEY (camera_id, day)
);
CREATE INDEX camera_days_day ON camera_days (day);   -- what all cameras recorded on a few days
-- last_end: when the latest of what came ended; last_end_gone: of what went.
CREATE TABLE camera_changes (LIKE camera_days, last_end timestamptz, last_end_gone timestamptz);
-- What there is of a camera, and when the latest of it ended, unless what went since ended no earlier: then an index tells.
CREATE TABLE camera_tallies (
    camera_id     uuid PRIMARY KEY,
    segments      bigint NOT NULL,
    size_bytes    bigint NOT NULL,
    last_end      timestamptz,         -- NULL: there is nothing
    last_end_gone timestamptz          -- NULL: nothing went since last_end was looked up
);

-- Attempts at making a replica, since ever and by the hour they ended in.
CREATE TABLE transfer_hours (
    hour              timestamptz NOT NULL,
    job               text NOT NULL,
    source_store      text NOT NULL,
    destination_store text NOT NULL,
    outcome           text NOT NULL,
    error_code        text NOT NULL,
    fallback          boolean NOT NULL,
    latency_class     smallint NOT NULL,
    transfers         bigint NOT NULL,
    size_bytes        bigint NOT NULL,
    microseconds      bigint NOT NULL,
    PRIMARY KEY (hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class)
);
CREATE TABLE transfer_changes (LIKE transfer_hours);
CREATE TABLE transfer_tallies (
    job               text NOT NULL,
    source_store      text NOT NULL,
    destination_store text NOT NULL,
    outcome           text NOT NULL,
    error_code        text NOT NULL,
    fallback          boolean NOT NULL,
    latency_class     smallint NOT NULL,
    transfers         bigint NOT NULL,
    size_bytes        bigint NOT NULL,
    microseconds      bigint NOT NULL,
    PRIMARY KEY (job, source_store, destination_store, outcome, error_code, fallback, latency_class)
);

-- Objects that we deleted, since ever.
CREATE TABLE deletion_tallies (
    store      text NOT NULL,
    reason     text NOT NULL,
    objects    bigint NOT NULL,
    size_bytes bigint NOT NULL,
    PRIMARY KEY (store, reason)
);
CREATE TABLE deletion_changes (LIKE deletion_tallies);

-- Segments that were read for somebody, since ever, by the store they came from.
CREATE TABLE retrieval_tallies (
    store      text PRIMARY KEY,
    segments   bigint NOT NULL,
    size_bytes bigint NOT NULL
);
CREATE TABLE retrieval_changes (LIKE retrieval_tallies);

-- How often an export came to a status, since ever, and how long it had taken; 0 where it is only under way.
CREATE TABLE export_tallies (
    status        text NOT NULL,
    latency_class smallint NOT NULL,
    exports       bigint NOT NULL,
    microseconds  bigint NOT NULL,
    PRIMARY KEY (status, latency_class)
);
CREATE TABLE export_changes (LIKE export_tallies);

-- What a store held in a tier at the end of a UTC day; of today, when it was last looked at. Lost replicas are not held.
CREATE TABLE usage_days (
    day         date NOT NULL,
    store       text NOT NULL,
    tier        text NOT NULL,
    replicas    bigint NOT NULL,
    size_bytes  bigint NOT NULL,
    monthly_usd numeric,               -- at that day's prices; NULL: nothing said what it cost
    PRIMARY KEY (day, store, tier)
);

-- What waits in landing zones is counted each round.
CREATE INDEX landing_files_open ON landing_files (zone) WHERE state IN ('pending', 'claimed');

-- The tallies as they must be, counted from the rows themselves: for the first filling, and to prove them. Each goes
-- through everything.
CREATE VIEW counted_usage AS
SELECT r.store, c.tenant, r.tier, coalesce(r.storage_class, '') AS storage_class, r.state,
       count(*) AS replicas, sum(r.size_bytes)::bigint AS size_bytes, count(r.retire_after) AS retiring
FROM replicas r
JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
JOIN cameras c ON c.id = s.camera_id
GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW counted_placement_buckets AS
SELECT '' AS store, rollout_bucket AS bucket, count(*) AS segments FROM segments GROUP BY 2
UNION ALL
SELECT r.store, s.rollout_bucket, count(*)
FROM replicas r
JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
WHERE r.state = 'available'
GROUP BY 1, 2;

CREATE VIEW counted_placement_days AS
SELECT '' AS store, utc_day(start_time) AS day, (rollout_bucket / 100)::smallint AS percent, count(*) AS segments
FROM segments GROUP BY 2, 3
UNION ALL
SELECT r.store, utc_day(s.start_time), (s.rollout_bucket / 100)::smallint, count(*)
FROM replicas r
JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
WHERE r.state = 'available'
GROUP BY 1, 2, 3;

CREATE VIEW counted_camera_days AS
SELECT s.camera_id, d.day, count(*) AS segments, sum(d.starts)::bigint AS starts,
       sum(d.microseconds)::bigint AS microseconds, sum(d.size_bytes)::bigint AS size_bytes
FROM segments s CROSS JOIN LATERAL recorded_days(s.start_time, s.end_time, s.size_bytes) d
GROUP BY 1, 2;

CREATE VIEW counted_transfers AS
SELECT date_trunc('hour', finished_at, 'UTC') AS hour, job, coalesce(source_store, '') AS source_store,
       destination_store, outcome, coalesce(error_code, '') AS error_code, fallback,
       latency_class(extract(epoch FROM finished_at - started_at)::float8) AS latency_class,
       count(*) AS transfers, sum(size_bytes)::bigint AS size_bytes,
       sum(microseconds(finished_at - started_at))::bigint AS microseconds
FROM transfers GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

CREATE VIEW counted_deletions AS
SELECT store, reason, count(*) AS objects, sum(size_bytes)::bigint AS size_bytes FROM deletions GROUP BY 1, 2;

-- What a tally and its changes are off by: what would have to be added to be right. None of these has a row, ever, but
-- after
-- somebody changed rows past the triggers (session_replication_role, TRUNCATE). Each goes through everything.
CREATE VIEW usage_drift AS
SELECT store, tenant, tier, storage_class, state, sum(replicas)::bigint AS replicas, sum(size_bytes)::bigint AS
       size_bytes, sum(retiring)::bigint AS retiring
FROM (SELECT store, tenant, tier, storage_class, state, replicas, size_bytes, retiring FROM counted_usage
      UNION ALL SELECT store, tenant, tier, storage_class, state, -replicas, -size_bytes, -retiring FROM usage_tallies
      UNION ALL SELECT store, tenant, tier, storage_class, state, -replicas, -size_bytes, -retiring FROM
                       usage_changes) AS compared
GROUP BY store, tenant, tier, storage_class, state
HAVING sum(replicas) <> 0 OR sum(size_bytes) <> 0 OR sum(retiring) <> 0;

CREATE VIEW placement_bucket_drift AS
SELECT store, bucket, sum(segments)::bigint AS segments
FROM (SELECT store, bucket, segments FROM counted_placement_buckets
      UNION ALL SELECT store, bucket, -segments FROM placement_buckets
      UNION ALL SELECT store, bucket, -change FROM placement_changes, unnest(buckets) AS bucket) AS compared
GROUP BY store, bucket
HAVING sum(segments) <> 0;

CREATE VIEW placement_day_drift AS
SELECT store, day, percent, sum(segments)::bigint AS segments
FROM (SELECT store, day, percent, segments FROM counted_placement_days
      UNION ALL SELECT store, day, percent, -segments FROM placement_days
      UNION ALL SELECT store, day, (bucket / 100)::smallint, -change FROM placement_changes, unnest(buckets) AS
                       bucket) AS compared
GROUP BY store, day, percent
HAVING sum(segments) <> 0;

CREATE VIEW camera_day_drift AS
SELECT camera_id, day, sum(segments)::bigint AS segments, sum(starts)::bigint AS starts, sum(microseconds)::bigint AS
       microseconds, sum(size_bytes)::bigint AS size_bytes
FROM (SELECT camera_id, day, segments, starts, microseconds, size_bytes FROM counted_camera_days
      UNION ALL SELECT camera_id, day, -segments, -starts, -microseconds, -size_bytes FROM camera_days
      UNION ALL SELECT camera_id, day, -segments, -starts, -microseconds, -size_bytes FROM camera_changes) AS compared
GROUP BY camera_id, day
HAVING sum(segments) <> 0 OR sum(starts) <> 0 OR sum(microseconds) <> 0 OR sum(size_bytes) <> 0;

CREATE VIEW camera_drift AS
SELECT camera_id, sum(segments)::bigint AS segments, sum(size_bytes)::bigint AS size_bytes
FROM (SELECT camera_id, count(*) AS segments, sum(size_bytes) AS size_bytes FROM segments GROUP BY camera_id
      UNION ALL SELECT camera_id, -segments, -size_bytes FROM camera_tallies
      UNION ALL SELECT camera_id, -starts, -size_bytes FROM camera_changes) AS compared
GROUP BY camera_id
HAVING sum(segments) <> 0 OR sum(size_bytes) <> 0;

CREATE VIEW transfer_hour_drift AS
SELECT hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class, sum(transfers)::bigint
       AS transfers, sum(size_bytes)::bigint AS size_bytes, sum(microseconds)::bigint AS microseconds
FROM (SELECT hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class, transfers,
             size_bytes, microseconds FROM counted_transfers
      UNION ALL SELECT hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                       -transfers, -size_bytes, -microseconds FROM transfer_hours
      UNION ALL SELECT hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                       -transfers, -size_bytes, -microseconds FROM transfer_changes) AS compared
GROUP BY hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class
HAVING sum(transfers) <> 0 OR sum(size_bytes) <> 0 OR sum(microseconds) <> 0;

CREATE VIEW transfer_drift AS
SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class, sum(transfers)::bigint AS
       transfers, sum(size_bytes)::bigint AS size_bytes, sum(microseconds)::bigint AS microseconds
FROM (SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class, transfers, size_bytes,
             microseconds FROM counted_transfers
      UNION ALL SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                       -transfers, -size_bytes, -microseconds FROM transfer_tallies
      UNION ALL SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                       -transfers, -size_bytes, -microseconds FROM transfer_changes) AS compared
GROUP BY job, source_store, destination_store, outcome, error_code, fallback, latency_class
HAVING sum(transfers) <> 0 OR sum(size_bytes) <> 0 OR sum(microseconds) <> 0;

CREATE VIEW deletion_drift AS
SELECT store, reason, sum(objects)::bigint AS objects, sum(size_bytes)::bigint AS size_bytes
FROM (SELECT store, reason, objects, size_bytes FROM counted_deletions
      UNION ALL SELECT store, reason, -objects, -size_bytes FROM deletion_tallies
      UNION ALL SELECT store, reason, -objects, -size_bytes FROM deletion_changes) AS compared
GROUP BY store, reason
HAVING sum(objects) <> 0 OR sum(size_bytes) <> 0;

-- last_end_of(camera_id): when the latest segment of a camera ended, by an index; NULL without any.
CREATE FUNCTION last_end_of(camera uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(end_time) FROM segments
    WHERE camera_id = camera
      AND start_time > (SELECT max(start_time) FROM segments WHERE camera_id = camera) - interval '24 hours'
$$;

-- The triggers of replicas, one an event, as each event has its own rows. What did not change in what is counted cancels
-- out. Bounds of time keep the plan to their months, and nested loops to their rows: the plan is made once a connection,
-- for few rows and many.
DO $make$
DECLARE
    event text;
    referencing text;
    changed text;
BEGIN
    FOR event, referencing, changed IN VALUES
        ('INSERT', 'NEW TABLE AS came', 'SELECT *, 1 AS change FROM came'),
        ('DELETE', 'OLD TABLE AS went', 'SELECT *, -1 AS change FROM went'),
        ('UPDATE', 'NEW TABLE AS came OLD TABLE AS went',
         'SELECT *, 1 AS change FROM came UNION ALL SELECT *, -1 FROM went')
    LOOP
        EXECUTE format($text$
CREATE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    first_start timestamptz;
    last_start timestamptz;
BEGIN
    SELECT min(start_time), max(start_time) INTO first_start, last_start FROM (%2$s) AS rows;
    IF first_start IS NULL THEN
        RETURN NULL;
    END IF;
    WITH changed AS MATERIALIZED (
        SELECT segment_id, start_time, store, tier, coalesce(storage_class, '') AS storage_class, state, size_bytes,
               retire_after IS NOT NULL AS retires, sum(change) AS change
        FROM (%2$s) AS rows
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(change) <> 0
    ), known AS MATERIALIZED (
        SELECT d.*, s.rollout_bucket, c.tenant
        FROM changed d
        JOIN segments s ON s.id = d.segment_id AND s.start_time = d.start_time
            AND s.start_time BETWEEN first_start AND last_start
        JOIN cameras c ON c.id = s.camera_id
    ), used AS (
        INSERT INTO usage_changes (store, tenant, tier, storage_class, state, replicas, size_bytes, retiring)
        SELECT store, tenant, tier, storage_class, state, sum(change), sum(change * size_bytes),
               coalesce(sum(change) FILTER (WHERE retires), 0)
        FROM known GROUP BY 1, 2, 3, 4, 5
    )
    INSERT INTO placement_changes (store, day, change, buckets)
    SELECT store, utc_day(start_time), change, array_agg(rollout_bucket)
    FROM (SELECT segment_id, start_time, store, rollout_bucket, sum(change) AS change
          FROM known WHERE state = 'available' GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0) AS placed
    GROUP BY 1, 2, 3;
    RETURN NULL;
END $$
        $text$, 'tally_replicas_' || lower(event), changed);
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON replicas REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION %I()',
                       'tally_' || lower(event), event, referencing, 'tally_replicas_' || lower(event));
    END LOOP;

    FOR event, referencing, changed IN VALUES
        ('INSERT', 'NEW TABLE AS came', 'SELECT *, 1 AS change FROM came'),
        ('DELETE', 'OLD TABLE AS went', 'SELECT *, -1 AS change FROM went')
    LOOP
        EXECUTE format($text$
CREATE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO placement_changes (store, day, change, buckets)
    SELECT '', utc_day(start_time), change, array_agg(rollout_bucket) FROM (%2$s) AS rows GROUP BY 2, 3;
    INSERT INTO camera_changes (camera_id, day, segments, starts, microseconds, size_bytes, last_end, last_end_gone)
    SELECT camera_id, d.day, sum(change), sum(change * d.starts), sum(change * d.microseconds),
           sum(change * d.size_bytes), max(end_time) FILTER (WHERE change = 1), max(end_time) FILTER (WHERE change = -1)
    FROM (%2$s) AS rows CROSS JOIN LATERAL recorded_days(rows.start_time, rows.end_time, rows.size_bytes) d
    GROUP BY 1, 2;
    RETURN NULL;
END $$
        $text$, 'tally_segments_' || lower(event), changed);
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON segments REFERENCING %s FOR EACH STATEMENT EXECUTE FUNCTION %I()',
                       'tally_' || lower(event), event, referencing, 'tally_segments_' || lower(event));
    END LOOP;
END $make$;

-- What a segment is does not change; where reads find it does, often, and is not counted. Should a person correct a row
-- by hand, that is counted: a row at a time, and only where the statement names such a column.
CREATE FUNCTION tally_segment_corrected() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF (NEW.id, NEW.camera_id, NEW.start_time, NEW.rollout_bucket)
            IS DISTINCT FROM (OLD.id, OLD.camera_id, OLD.start_time, OLD.rollout_bucket) THEN
        RAISE EXCEPTION 'segment % is another one with these values: expected it to be deleted and recorded anew', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO camera_changes (camera_id, day, segments, starts, microseconds, size_bytes, last_end, last_end_gone)
    SELECT OLD.camera_id, day, -1, -starts, -microseconds, -size_bytes, NULL, OLD.end_time
    FROM recorded_days(OLD.start_time, OLD.end_time, OLD.size_bytes)
    UNION ALL
    SELECT NEW.camera_id, day, 1, starts, microseconds, size_bytes, NEW.end_time, NULL
    FROM recorded_days(NEW.start_time, NEW.end_time, NEW.size_bytes);
    RETURN NULL;
END $$;
CREATE TRIGGER tally_corrected AFTER UPDATE OF id, camera_id, start_time, end_time, size_bytes, rollout_bucket ON segments
    FOR EACH ROW EXECUTE FUNCTION tally_segment_corrected();

CREATE FUNCTION keep_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'camera % belongs to tenant %, and its objects lie under that name: expected it to stay so',
        OLD.id, OLD.tenant USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER keep_tenant BEFORE UPDATE OF tenant ON cameras
    FOR EACH ROW WHEN (OLD.tenant <> NEW.tenant) EXECUTE FUNCTION keep_tenant();

CREATE FUNCTION tally_transfers() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO transfer_changes (hour, job, source_store, destination_store, outcome, error_code, fallback, latency_class,
                                  transfers, size_bytes, microseconds)
    SELECT date_trunc('hour', finished_at, 'UTC'), job, coalesce(source_store, ''), destination_store, outcome,
           coalesce(error_code, ''), fallback, latency_class(extract(epoch FROM finished_at - started_at)::float8),
           count(*), sum(size_bytes), sum(microseconds(finished_at - started_at))
    FROM came GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
    RETURN NULL;
END $$;
CREATE TRIGGER tally AFTER INSERT ON transfers REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION tally_transfers();

CREATE FUNCTION tally_deletions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO deletion_changes (store, reason, objects, size_bytes)
    SELECT store, reason, count(*), sum(size_bytes) FROM came GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER tally AFTER INSERT ON deletions REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION tally_deletions();

CREATE FUNCTION tally_export_sources() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO retrieval_changes (store, segments, size_bytes)
    SELECT store, count(*), sum(size_bytes) FROM came GROUP BY 1;
    RETURN NULL;
END $$;
CREATE TRIGGER tally AFTER INSERT ON export_sources REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION tally_export_sources();

-- What an attempt that begins anew took is counted from its own start, as far as it is known.
CREATE FUNCTION tally_exports() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    began timestamptz := CASE WHEN NEW.attempt = 1 THEN NEW.created_at ELSE coalesce(NEW.started_at, NEW.updated_at) END;
    took interval := CASE WHEN NEW.status IN ('COMPLETED', 'FAILED')
                     THEN greatest(coalesce(NEW.completed_at, NEW.updated_at) - began, interval '0') ELSE interval '0' END;
BEGIN
    INSERT INTO export_changes (status, latency_class, exports, microseconds)
    VALUES (NEW.status, latency_class(extract(epoch FROM took)::float8), 1, microseconds(took));
    RETURN NULL;
END $$;
CREATE TRIGGER tally_new AFTER INSERT ON exports FOR EACH ROW EXECUTE FUNCTION tally_exports();
CREATE TRIGGER tally_status AFTER UPDATE OF status ON exports
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION tally_exports();

-- The first filling. The triggers' creation has locked the tables against writers until this is committed.
SET LOCAL work_mem = '64MB';
SET LOCAL enable_partitionwise_join = on;
INSERT INTO usage_tallies SELECT * FROM counted_usage;
INSERT INTO placement_buckets SELECT * FROM counted_placement_buckets;
INSERT INTO placement_days SELECT * FROM counted_placement_days;
INSERT INTO camera_days SELECT * FROM counted_camera_days;
INSERT INTO camera_tallies (camera_id, segments, size_bytes, last_end)
SELECT camera_id, sum(starts), sum(size_bytes), last_end_of(camera_id) FROM camera_days GROUP BY camera_id;
INSERT INTO transfer_hours SELECT * FROM counted_transfers;
INSERT INTO transfer_tallies
SELECT job, source_store, destination_store, outcome, error_code, fallback, latency_class, sum(transfers),
       sum(size_bytes), sum(microseconds)
FROM transfer_hours GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO deletion_tallies SELECT * FROM counted_deletions;
INSERT INTO retrieval_tallies SELECT store, count(*), sum(size_bytes) FROM export_sources GROUP BY 1;
-- Of exports so far only what became of them is known.
INSERT INTO export_tallies
SELECT status, latency_class(seconds), count(*), sum(seconds * 1000000)::bigint
FROM (SELECT status, greatest(extract(epoch FROM CASE status WHEN 'COMPLETED' THEN completed_at - created_at
                                                 WHEN 'FAILED' THEN updated_at - created_at END), 0)::float8 AS seconds
      FROM exports) AS ended
GROUP BY 1, 2;
