-- How long footage is kept, in which tier, who forbids its deletion, and what a look at the stores found.
--
-- Deletion has one way, whatever asks for it: condemn (a row here, in the same transaction that takes the replica from
-- the readers) → grace → delete the bytes → forget (history row, and the rows of what is gone). Each step finds what the
-- one before it left, so that a kill between any two loses nothing.

-- The tier of a replica, and what a look at it last found.
ALTER TABLE replicas
    ADD COLUMN tier text NOT NULL DEFAULT 'HOT' CHECK (tier IN ('HOT', 'COOL', 'COLD', 'ARCHIVE')),
    ADD COLUMN tier_since timestamptz,       -- when it came into its tier; NULL: when it was made
    ADD COLUMN seen_at timestamptz,          -- when its object was last found, of the right size; NULL: when verified
    ADD COLUMN suspected_at timestamptz,     -- since when it is suspicious or lost
    ADD COLUMN readable_until timestamptz;   -- an archived one that was restored; NULL: not restored
CREATE INDEX replicas_doubted ON replicas (store, suspected_at) WHERE state IN ('suspicious', 'lost');   -- to be checked
CREATE INDEX replicas_store_time ON replicas (store, start_time);   -- the oldest of a store; what a tier's age takes

-- proved_at(storage_class, verified_at, seen_at): when a replica was last proved, as far as it can be: by its bytes, or,
-- where they must be restored before they can be read (the classes of policy/restoration.py), by its being there.
CREATE FUNCTION proved_at(storage_class text, verified_at timestamptz, seen_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN storage_class IN ('GLACIER', 'DEEP_ARCHIVE') THEN greatest(verified_at, seen_at) ELSE verified_at END
$$;
CREATE INDEX replicas_proved_at ON replicas (store, proved_at(storage_class, verified_at, seen_at))
    WHERE state = 'available';   -- what is to be verified next

-- A lock: a reason why nothing may delete. It covers the segments that share an instant with its range, of one camera or
-- of all; or one segment. Locks that follow from the state of things (a transfer under way, an only verified copy) have
-- no row: policy/retention.py lists them.
CREATE TABLE locks (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('legal_hold', 'export')),
    camera_id   uuid REFERENCES cameras (id),   -- NULL: every camera, unless segment_id says which footage
    segment_id  uuid,
    start_time  timestamptz,                    -- NULL: since ever
    end_time    timestamptz,                    -- NULL: for ever, footage to come included
    reason      text NOT NULL CHECK (reason <> ''),
    created_by  text NOT NULL CHECK (created_by <> ''),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,                    -- NULL: holds until somebody releases it
    released_at timestamptz,                    -- rows stay, as the record of who held what and when
    released_by text,
    CHECK (end_time > start_time),
    CHECK (segment_id IS NULL OR (camera_id IS NULL AND start_time IS NULL AND end_time IS NULL)),
    CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE INDEX locks_in_force ON locks (camera_id) WHERE released_at IS NULL;

-- A condemnation: one object whose deletion is decided and counted, and waits for its grace to end. An object that was a
-- replica names its segment; its replica row is 'condemned' (reason 'moved' alone leaves it: that is at its new path).
CREATE TABLE condemnations (
    store        text NOT NULL CHECK (store <> ''),
    path         text COLLATE "C" NOT NULL CHECK (path <> ''),
    segment_id   uuid,
    start_time   timestamptz,            -- of the segment
    reason       text NOT NULL CHECK (reason IN ('expired', 'retired', 'quota', 'moved', 'orphan', 'export', 'thumbnail')),
    size_bytes   bigint NOT NULL CHECK (size_bytes >= 0),
    run_id       text NOT NULL,          -- of the DAG run that condemned it
    condemned_at timestamptz NOT NULL,
    delete_after timestamptz NOT NULL,   -- who deletes it holds its row locked meanwhile; a kill lets go of it
    error        text,                   -- why it still stands: the last try failed, or had to wait
    PRIMARY KEY (store, path),
    CHECK ((segment_id IS NULL) = (start_time IS NULL)),
    CHECK (delete_after >= condemned_at)
);
CREATE INDEX condemnations_due ON condemnations (store, delete_after, path);
CREATE INDEX condemnations_segment ON condemnations (segment_id) WHERE segment_id IS NOT NULL;

-- A deletion: one object that is gone because we deleted it. Append-only history, the source of every deletion metric.
CREATE TABLE deletions (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    store        text NOT NULL,
    path         text COLLATE "C" NOT NULL,
    segment_id   uuid,
    start_time   timestamptz,            -- of the segment
    reason       text NOT NULL,          -- as in condemnations, or 'temp', 'upload'
    size_bytes   bigint NOT NULL CHECK (size_bytes >= 0),
    checksum     char(64),               -- SHA-256, where it was known
    run_id       text NOT NULL,
    condemned_at timestamptz NOT NULL,
    deleted_at   timestamptz NOT NULL,
    PRIMARY KEY (id, deleted_at)
) PARTITION BY RANGE (deleted_at);
CREATE INDEX deletions_deleted_at ON deletions (deleted_at);
CREATE INDEX deletions_path ON deletions (store, path);         -- what became of an object
CREATE INDEX deletions_segment ON deletions (segment_id) WHERE segment_id IS NOT NULL;

-- A tier move: one replica that a plan wants in another tier, with the figures that a person approved. Claimed like a
-- transfer item. Kept after it is done, for the savings that are reported, until house-keeping forgets its batch.
CREATE TABLE tier_moves (
    batch_id       uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    segment_id     uuid NOT NULL,
    start_time     timestamptz NOT NULL,
    store          text NOT NULL,
    from_tier      text NOT NULL,
    to_tier        text NOT NULL CHECK (to_tier <> from_tier),
    size_bytes     bigint NOT NULL CHECK (size_bytes > 0),
    one_off_usd    double precision NOT NULL CHECK (one_off_usd >= 0),   -- transition, early deletion, requests
    saving_usd     double precision NOT NULL,   -- over the time it is still kept, one-off cost taken off
    state          text NOT NULL DEFAULT 'pending'
                   CHECK (state IN ('pending', 'claimed', 'done', 'failed', 'dropped')),   -- dropped: not needed any more
    attempts       integer NOT NULL DEFAULT 0,
    claimed_until  timestamptz,
    error_code     text,
    error          text,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch_id, segment_id),
    CHECK ((state = 'claimed') = (claimed_until IS NOT NULL)),
    CHECK (state <> 'failed' OR error_code IS NOT NULL)
);
-- A replica is on its way to another tier once, however many runs plan at a time.
CREATE UNIQUE INDEX tier_moves_under_way ON tier_moves (segment_id, store) WHERE state IN ('pending', 'claimed');

-- A restore: one archived replica that was asked for, so that it can be read for a while.
CREATE TABLE restores (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segment_id     uuid NOT NULL,
    start_time     timestamptz NOT NULL,
    store          text NOT NULL,
    path           text COLLATE "C" NOT NULL,
    speed          text NOT NULL CHECK (speed IN ('expedited', 'standard', 'bulk')),
    days           integer NOT NULL CHECK (days > 0),   -- how long the restored copy stays
    size_bytes     bigint NOT NULL CHECK (size_bytes > 0),
    cost_usd       double precision NOT NULL CHECK (cost_usd >= 0),   -- as estimated
    state          text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'requested', 'readable', 'failed', 'ended')),
    run_id         text NOT NULL,
    error          text,
    planned_at     timestamptz NOT NULL,
    requested_at   timestamptz,
    expected_at    timestamptz,   -- when the provider's usual time is over
    readable_at    timestamptz,
    readable_until timestamptz,
    extend_until   timestamptz,   -- a later end that another run wants and that is not asked for yet; NULL: none
    CHECK (state NOT IN ('requested', 'readable') OR requested_at IS NOT NULL),
    CHECK (state <> 'readable' OR readable_until IS NOT NULL)
);
CREATE UNIQUE INDEX restores_under_way ON restores (segment_id, store) WHERE state IN ('planned', 'requested', 'readable');
CREATE INDEX restores_ending ON restores (readable_until) WHERE state = 'readable';   -- whose copies are gone

-- A restore wish: one run that waits for one restore, which an earlier run may have asked for.
CREATE TABLE restore_wishes (
    run_id     text NOT NULL,
    restore_id bigint NOT NULL REFERENCES restores (id) ON DELETE CASCADE,
    PRIMARY KEY (run_id, restore_id)
);
CREATE INDEX restore_wishes_restore ON restore_wishes (restore_id);

-- An orphan: an object under our own prefixes without a replica row, or one that was put into quarantine as such. It is
-- deleted only when it was seen at least twice, is old by the store's clock, has been in quarantine for its grace, and is
-- still unknown at that moment.
CREATE TABLE orphans (
    store           text NOT NULL CHECK (store <> ''),
    path            text COLLATE "C" NOT NULL CHECK (path <> ''),   -- where it was found
    size_bytes      bigint NOT NULL CHECK (size_bytes >= 0),
    modified_at     timestamptz NOT NULL,    -- by the store's clock
    first_seen_at   timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    sightings       integer NOT NULL DEFAULT 1 CHECK (sightings > 0),   -- runs that saw it unchanged
    seen_run_id     text NOT NULL,           -- the last of them: a run that is tried again sees it once
    state           text NOT NULL DEFAULT 'seen' CHECK (state IN ('seen', 'quarantined')),
    quarantine_path text COLLATE "C",        -- where it lies now; NULL: marked, and left where it was found
    quarantined_at  timestamptz,
    quarantined_by  text,                    -- the run that did it
    delete_after    timestamptz,
    PRIMARY KEY (store, path),
    CHECK ((state = 'quarantined') = (quarantined_at IS NOT NULL)),
    CHECK ((quarantined_at IS NULL) = (delete_after IS NULL)),
    CHECK ((quarantined_at IS NULL) = (quarantined_by IS NULL))
);
CREATE INDEX orphans_due ON orphans (store, delete_after) WHERE state = 'quarantined';
CREATE INDEX orphans_quarantine_path ON orphans (store, quarantine_path) WHERE quarantine_path IS NOT NULL;
CREATE INDEX orphans_seen ON orphans (store, seen_run_id) WHERE state = 'seen';   -- those that a run may act on

-- A reconciliation: what one run found in one store. History, the source of the orphan and lost metrics.
CREATE TABLE reconciliations (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id         text NOT NULL,
    store          text NOT NULL,
    outcome        text NOT NULL CHECK (outcome IN ('agreed', 'acted', 'dry_run', 'refused', 'sick')),
    objects        bigint NOT NULL,          -- listed under our own prefixes
    object_bytes   bigint NOT NULL,
    foreign_objects bigint NOT NULL,         -- others' objects, never touched
    replicas       bigint NOT NULL,          -- rows that the listing was held against
    orphans        bigint NOT NULL,
    orphan_bytes   bigint NOT NULL,
    quarantined    bigint NOT NULL,
    lost           bigint NOT NULL,
    wrong_size     bigint NOT NULL,
    repaired       bigint NOT NULL,
    healed         bigint NOT NULL,          -- doubted, and found to be right
    report_path    text COLLATE "C",         -- in the exports store
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX reconciliations_run ON reconciliations (run_id, store);   -- a run that is tried again tells anew
CREATE INDEX reconciliations_store ON reconciliations (store, finished_at);

-- A rollout step: one decision about the ramp. The last one is the percentage in force, unless estate.toml's own has
-- been changed since (configured_buckets), which starts the ramp there.
CREATE TABLE rollout_steps (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decided_at         timestamptz NOT NULL,
    action             text NOT NULL CHECK (action IN ('start', 'advance', 'hold', 'step_back')),
    from_buckets       smallint NOT NULL CHECK (from_buckets BETWEEN 0 AND 10000),   -- 0.01 % each
    to_buckets         smallint NOT NULL CHECK (to_buckets BETWEEN 0 AND 10000),
    configured_buckets smallint NOT NULL CHECK (configured_buckets BETWEEN 0 AND 10000),   -- estate.toml's at that time
    reason             text NOT NULL CHECK (reason <> ''),
    decided_by         text NOT NULL CHECK (decided_by <> ''),   -- 'reelkeeper', or the person who answered
    run_id             text NOT NULL,
    transfers          bigint NOT NULL,               -- measured, over the dwell time
    failure_ratio      double precision CHECK (failure_ratio BETWEEN 0 AND 1),   -- of the worst window; NULL: no transfers
    upload_seconds     double precision CHECK (upload_seconds >= 0),             -- mean; NULL: no transfers
    CHECK (action NOT IN ('hold') OR from_buckets = to_buckets)
);
CREATE UNIQUE INDEX rollout_steps_run ON rollout_steps (run_id);   -- a re-run decides nothing anew

-- An export: footage cut out for a person. Made by generate_export; enforce_retention lets it expire.
CREATE TABLE exports (
    id           uuid PRIMARY KEY,
    tenant       text NOT NULL,
    camera_ids   uuid[] NOT NULL CHECK (cardinality(camera_ids) > 0),
    start_time   timestamptz NOT NULL,
    end_time     timestamptz NOT NULL,
    format       text NOT NULL CHECK (format <> ''),
    quality      text NOT NULL DEFAULT 'original',
    reason       text NOT NULL CHECK (reason <> ''),
    status       text NOT NULL DEFAULT 'PENDING'
                 CHECK (status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'EXPIRED')),
    store        text,                       -- where its objects are
    file_path    text COLLATE "C",
    file_size    bigint CHECK (file_size >= 0),
    file_hash    char(64),
    download_url text,
    expires_at   timestamptz NOT NULL,
    created_by   text NOT NULL CHECK (created_by <> ''),
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    CHECK (end_time > start_time),
    CHECK (status <> 'COMPLETED' OR (store IS NOT NULL AND file_path IS NOT NULL AND completed_at IS NOT NULL))
);
CREATE INDEX exports_expires_at ON exports (expires_at) WHERE status <> 'EXPIRED';

-- Work lists of the new jobs stand in batches, too. A repair copies a lost replica anew from another store.
ALTER TABLE batches DROP CONSTRAINT batches_job_check, DROP CONSTRAINT batches_check, DROP CONSTRAINT batches_check1,
    ADD CONSTRAINT batches_job_check CHECK (job IN ('ingest', 'migrate', 'repair', 'tier')),
    ADD CONSTRAINT batches_zone_check CHECK ((zone IS NOT NULL) = (job = 'ingest')),
    ADD CONSTRAINT batches_store_check CHECK ((store IS NOT NULL) = (job <> 'ingest'));
ALTER TABLE transfers DROP CONSTRAINT transfers_job_check,
    ADD CONSTRAINT transfers_job_check CHECK (job IN ('ingest', 'migrate', 'repair', 'tier'));

-- Footage that nothing may delete: by the locks in force, unless they have expired, and by exports that run. NULL in
-- camera_id: of every camera; in a time: since ever, or for ever.
CREATE VIEW held_footage AS
SELECT kind, reason, camera_id, segment_id, start_time, end_time, expires_at FROM locks WHERE released_at IS NULL
UNION ALL
SELECT 'export', 'export ' || id || ' is under way', camera_id, NULL, start_time, end_time, expires_at
FROM exports, unnest(camera_ids) AS camera_id
WHERE status IN ('PENDING', 'PROCESSING');

-- protected_segments(first, last, now): the segments starting in [first, last) that nothing may delete: held ones, and those
-- with an open transfer that no plan would take over yet. A single query, which PostgreSQL puts in the place of the call.
CREATE FUNCTION protected_segments(first timestamptz, last timestamptz, at timestamptz, stale_after interval)
RETURNS TABLE (segment_id uuid) LANGUAGE sql STABLE AS $$
    SELECT h.segment_id FROM held_footage h WHERE h.segment_id IS NOT NULL AND (h.expires_at IS NULL OR h.expires_at > at)
    UNION ALL
    SELECT s.id
    FROM held_footage h
    JOIN segments s ON s.camera_id = h.camera_id
        AND (h.start_time IS NULL OR s.end_time > h.start_time) AND (h.end_time IS NULL OR s.start_time < h.end_time)
    WHERE h.camera_id IS NOT NULL AND (h.expires_at IS NULL OR h.expires_at > at)
      AND s.start_time >= first AND s.start_time < last
    UNION ALL
    SELECT s.id
    FROM held_footage h
    JOIN segments s ON (h.start_time IS NULL OR s.end_time > h.start_time)
        AND (h.end_time IS NULL OR s.start_time < h.end_time)
    WHERE h.camera_id IS NULL AND h.segment_id IS NULL AND (h.expires_at IS NULL OR h.expires_at > at)
      AND s.start_time >= first AND s.start_time < last
    UNION ALL
    SELECT i.segment_id
    FROM transfer_items i
    WHERE i.state IN ('pending', 'claimed')
      AND (i.updated_at > statement_timestamp() - stale_after OR i.claimed_until > statement_timestamp())
$$;
