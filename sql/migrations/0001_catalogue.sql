-- The catalogue: what Reelkeeper knows about footage. Its own database or schema, apart from Airflow's.
-- Times are timestamptz in UTC; ranges are half-open [start_time, end_time); units stand in the names. Paths compare byte
-- for byte (COLLATE "C"), as stores do.
--
-- segments, replicas, thumbnails and transfers have one partition for each month, made ahead of time by
-- `migrations.ensure_partitions`; there is no default partition, which would have to be searched for each new month.
-- Replicas and thumbnails refer to their segment by foreign key. Work lists and history do not, so that a segment can be
-- forgotten without a search through them.

-- A camera: a source of footage. `slug` stands in object keys, so it never changes; `name` is for people.
CREATE TABLE cameras (
    id             uuid PRIMARY KEY,
    tenant         text NOT NULL CHECK (tenant ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    slug           text NOT NULL CHECK (slug ~ '^[a-z0-9_][a-z0-9._-]{0,63}$'),
    name           text NOT NULL CHECK (name <> ''),
    retention_days integer CHECK (retention_days > 0),   -- NULL: the estate's default
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, slug)
);

-- A segment: what one camera recorded over one range. (camera_id, start_time) names it and id follows from both, so
-- that ingesting the same file twice changes nothing. Partitioned by month of start_time: queries name a range, and
-- the longest segment (one day) bounds how far before it they must look.
CREATE TABLE segments (
    id               uuid NOT NULL,
    camera_id        uuid NOT NULL REFERENCES cameras (id),
    start_time       timestamptz NOT NULL,
    end_time         timestamptz NOT NULL,
    duration_seconds double precision NOT NULL GENERATED ALWAYS AS (extract(epoch FROM end_time - start_time)) STORED,
    size_bytes       bigint NOT NULL CHECK (size_bytes > 0),
    checksum         char(64) NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),   -- SHA-256, ours
    extension        text NOT NULL CHECK (extension ~ '^[a-z0-9]{1,10}$'),
    container        text NOT NULL CHECK (container <> ''),
    video_codec      text NOT NULL CHECK (video_codec <> ''),
    width            integer NOT NULL CHECK (width > 0),    -- pixels
    height           integer NOT NULL CHECK (height > 0),   -- pixels
    frame_rate       double precision CHECK (frame_rate > 0),   -- frames per second; NULL when it varies
    has_audio        boolean NOT NULL,
    rollout_bucket   smallint NOT NULL CHECK (rollout_bucket BETWEEN 0 AND 9999),   -- 0.01 % each; a hash of id
    storage_backend  text NOT NULL CHECK (storage_backend <> ''),   -- the store that a read should ask first
    storage_path     text COLLATE "C" NOT NULL CHECK (storage_path <> ''),   -- the key in it
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (camera_id, start_time),   -- names a segment; serves camera-and-range lists
    UNIQUE (id, start_time),               -- for replicas to refer to
    CHECK (end_time > start_time AND end_time - start_time <= interval '24 hours')   -- see MAX_SEGMENT_DURATION
) PARTITION BY RANGE (start_time);

CREATE INDEX segments_created_at ON segments (created_at);                       -- what came in lately
CREATE INDEX segments_start_bucket ON segments (start_time, rollout_bucket);     -- planning a migration's interval

-- A replica: one copy of one segment in one store. A row appears only after the bytes were verified.
CREATE TABLE replicas (
    segment_id    uuid NOT NULL,
    start_time    timestamptz NOT NULL,   -- of the segment
    store         text NOT NULL CHECK (store <> ''),
    path          text COLLATE "C" NOT NULL CHECK (path <> ''),
    storage_class text,                   -- the provider's name; NULL where it has none
    size_bytes    bigint NOT NULL CHECK (size_bytes > 0),
    checksum      char(64) NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
    state         text NOT NULL CHECK (state IN ('available', 'suspicious', 'lost', 'condemned')),
    verified_at   timestamptz,
    retire_after  timestamptz,            -- when a local copy may leave; NULL: not to leave
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (segment_id, store, start_time),
    FOREIGN KEY (segment_id, start_time) REFERENCES segments (id, start_time),
    CHECK (state <> 'available' OR verified_at IS NOT NULL)   -- invariant 1
) PARTITION BY RANGE (start_time);

CREATE INDEX replicas_store_path ON replicas (store, path);   -- from a listing to the row
CREATE INDEX replicas_retire_after ON replicas (retire_after) WHERE retire_after IS NOT NULL;   -- what may leave

-- A thumbnail: one picture of one segment, kept in one store. It can be made again, so it has no replicas.
CREATE TABLE thumbnails (
    segment_id uuid NOT NULL,
    start_time timestamptz NOT NULL,
    store      text NOT NULL CHECK (store <> ''),
    path       text COLLATE "C" NOT NULL CHECK (path <> ''),
    width      integer NOT NULL CHECK (width > 0),    -- pixels
    height     integer NOT NULL CHECK (height > 0),   -- pixels
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (segment_id, start_time),
    FOREIGN KEY (segment_id, start_time) REFERENCES segments (id, start_time)
) PARTITION BY RANGE (start_time);

-- A batch: a work list for one task. XCom carries its id; what is in it stands in landing_files or transfer_items.
CREATE TABLE batches (
    id         uuid PRIMARY KEY,
    job        text NOT NULL CHECK (job IN ('ingest', 'migrate')),
    run_id     text NOT NULL,            -- of the DAG run that planned it
    zone       text,                     -- the landing zone of an ingest batch
    store      text,                     -- the destination of a transfer batch
    number     integer NOT NULL CHECK (number >= 0),   -- its place in the plan that made it
    item_count integer NOT NULL CHECK (item_count > 0),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((zone IS NOT NULL) = (job = 'ingest')),
    CHECK ((store IS NOT NULL) = (job = 'migrate'))
);
CREATE INDEX batches_run ON batches (job, run_id);          -- a re-run of a plan finds what it planned
CREATE INDEX batches_created_at ON batches (created_at);    -- house-keeping

-- A transfer item: one segment that a plan wants copied to one store. Workers claim rows with SKIP LOCKED; a claim that
-- is older than its lease was left by a worker that died, and may be taken over. An abandoned item was left by a whole
-- run that died; its segment was requested anew.
CREATE TABLE transfer_items (
    batch_id          uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    segment_id        uuid NOT NULL,
    start_time        timestamptz NOT NULL,
    source_store      text NOT NULL,
    destination_store text NOT NULL CHECK (destination_store <> source_store),
    size_bytes        bigint NOT NULL CHECK (size_bytes > 0),
    priority          smallint NOT NULL,   -- lower goes first
    state             text NOT NULL DEFAULT 'pending'
                      CHECK (state IN ('pending', 'claimed', 'done', 'failed', 'abandoned')),
    attempts          integer NOT NULL DEFAULT 0,   -- claims so far; tells a claim from a later one
    claimed_until     timestamptz,
    error_code        text,
    error             text,
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch_id, segment_id),
    CHECK ((state = 'claimed') = (claimed_until IS NOT NULL)),
    CHECK (state <> 'failed' OR error_code IS NOT NULL)
);
-- A segment is on its way to a store once, however many runs plan at a time. Holds open items only, so it stays small.
CREATE UNIQUE INDEX transfer_items_under_way ON transfer_items (segment_id, destination_store)
    WHERE state IN ('pending', 'claimed');
-- What failed lately is not planned again at once.
CREATE INDEX transfer_items_failed ON transfer_items (segment_id, destination_store) WHERE state = 'failed';

-- A transfer: one attempt to make a replica. Append-only history, the source of every transfer metric.
CREATE TABLE transfers (
    id                bigint GENERATED ALWAYS AS IDENTITY,
    segment_id        uuid NOT NULL,
    start_time        timestamptz NOT NULL,   -- of the segment
    job               text NOT NULL CHECK (job IN ('ingest', 'migrate')),
    batch_id          uuid NOT NULL,          -- which house-keeping may have forgotten
    source_store      text,                   -- NULL: from a landing zone
    destination_store text NOT NULL,
    outcome           text NOT NULL CHECK (outcome IN ('succeeded', 'failed')),
    fallback          boolean NOT NULL DEFAULT false,   -- kept locally because the cloud failed
    error_code        text CHECK ((error_code IS NOT NULL) = (outcome = 'failed')),
    error             text,
    size_bytes        bigint NOT NULL CHECK (size_bytes >= 0),
    started_at        timestamptz NOT NULL,
    finished_at       timestamptz NOT NULL,
    PRIMARY KEY (id, finished_at),
    CHECK (finished_at >= started_at)
) PARTITION BY RANGE (finished_at);
CREATE INDEX transfers_finished_at ON transfers (finished_at);          -- rates over a time
CREATE INDEX transfers_segment ON transfers (segment_id, finished_at);  -- what happened to a segment

-- A migration request: a segment that the next migration to the cloud store should take although its own interval is
-- over: it was read from the local store, came late, fell back to it, the run that was to take it died, or failed to
-- copy it for a reason that may pass.
CREATE TABLE migration_requests (
    segment_id   uuid NOT NULL,
    start_time   timestamptz NOT NULL,
    priority     smallint NOT NULL,   -- lower goes first; catalogue/transfers.py names the values
    reason       text NOT NULL CHECK (reason IN ('fallback', 'late', 'read', 'abandoned', 'failed')),
    requested_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (segment_id)
);

-- A landing file: one file that was seen in a landing zone, and what became of it. (zone, path, size, mtime) names a
-- version of it, so that a zone that keeps its files is not ingested again.
CREATE TABLE landing_files (
    zone        text NOT NULL,
    path        text COLLATE "C" NOT NULL,   -- inside the zone; a URL for a zone of downloads
    size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
    modified_at timestamptz NOT NULL,    -- by the zone's clock
    state       text NOT NULL CHECK (state IN ('pending', 'claimed', 'ingested', 'duplicate', 'quarantined')),
    batch_id    uuid REFERENCES batches (id) ON DELETE SET NULL,
    claimed_until timestamptz,           -- a claim that is older was left by a worker that died
    segment_id  uuid,                    -- what it became
    start_time  timestamptz,
    reason_code text,                    -- of a quarantined file
    reason      text,
    moved_to    text,                    -- where a quarantined file was put; NULL: left where it was
    attempts    integer NOT NULL DEFAULT 0,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (zone, path),
    CHECK ((state = 'claimed') = (claimed_until IS NOT NULL)),
    CHECK (state NOT IN ('pending', 'claimed') OR batch_id IS NOT NULL),
    CHECK ((state = 'quarantined') = (reason_code IS NOT NULL)),
    CHECK ((segment_id IS NULL) = (start_time IS NULL)),
    CHECK (state NOT IN ('ingested', 'duplicate') OR segment_id IS NOT NULL)
);
CREATE INDEX landing_files_batch ON landing_files (batch_id);   -- the work list of a batch
CREATE INDEX landing_files_quarantined ON landing_files (updated_at) WHERE state = 'quarantined';   -- reports

-- batch_number(size, most_items, most_bytes) OVER (ORDER BY … ROWS UNBOUNDED PRECEDING): the number, from 0, of the batch
-- that each row falls into when rows fill batches one after another. A row larger than most_bytes gets a batch of its
-- own. The state is (number, items in it, bytes in it).
CREATE FUNCTION batch_number_next(state bigint[], size_bytes bigint, most_items bigint, most_bytes bigint)
RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF state[2] >= most_items OR (state[2] > 0 AND state[3] + size_bytes > most_bytes) THEN
        RETURN ARRAY[state[1] + 1, 1, size_bytes];
    END IF;
    RETURN ARRAY[state[1], state[2] + 1, state[3] + size_bytes];
END $$;
CREATE FUNCTION batch_number_of(state bigint[]) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT state[1]';
CREATE AGGREGATE batch_number(size_bytes bigint, most_items bigint, most_bytes bigint) (
    SFUNC = batch_number_next, STYPE = bigint[], INITCOND = '{0,0,0}', FINALFUNC = batch_number_of
);
