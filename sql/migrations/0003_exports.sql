-- What an export is made of, how far it is, and what became of it. Its row is the lock: while it is PENDING or PROCESSING,
-- the view held_footage holds what it is cut from.
--
-- Each step writes its objects, verifies them, and records them here; a step that is tried again finds what it recorded.

-- Other systems' words for these columns: tenant is their tenant_id, created_by their user_id, file_path their s3_key.
ALTER TABLE exports
    ALTER COLUMN camera_ids DROP NOT NULL,
    ALTER COLUMN start_time DROP NOT NULL,
    ALTER COLUMN end_time DROP NOT NULL,
    ALTER COLUMN reason DROP NOT NULL,
    ALTER COLUMN created_by DROP NOT NULL,
    ADD COLUMN layout text NOT NULL DEFAULT 'separate' CHECK (layout IN ('separate', 'mosaic', 'sequence')),
    ADD COLUMN gaps text NOT NULL DEFAULT 'join' CHECK (gaps IN ('join', 'black')),
    ADD COLUMN watermark text,                 -- what is burned into the picture, the id below beside it; NULL: nothing
    ADD COLUMN watermark_id text,              -- ties a picture to this row; NULL: no watermark
    ADD COLUMN burns_time boolean NOT NULL DEFAULT false,
    ADD COLUMN burns_camera boolean NOT NULL DEFAULT false,
    ADD COLUMN packaging text NOT NULL DEFAULT 'none' CHECK (packaging IN ('none', 'hls_dash')),
    ADD COLUMN ladder boolean NOT NULL DEFAULT false,   -- several qualities for playback
    ADD COLUMN kept_for interval NOT NULL DEFAULT '7 days',   -- how long it lives once it is done
    ADD COLUMN request jsonb NOT NULL DEFAULT '{}',     -- as it was asked, word for word
    ADD COLUMN triggered_by text,              -- Airflow's user who started the run, where Airflow knows
    ADD COLUMN ip_address inet,                -- of the client that asked, where an API asked for it
    ADD COLUMN user_agent text,
    ADD COLUMN run_id text,                    -- of the DAG run that makes it, or made it
    ADD COLUMN progress smallint NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),   -- percent
    ADD COLUMN started_at timestamptz,         -- when its first camera was cut
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN failure_code text,
    ADD COLUMN failure text,                   -- why it failed, for people
    ADD COLUMN manifest_path text COLLATE "C",
    ADD COLUMN thumbnail_path text COLLATE "C",
    ADD COLUMN contact_sheet_path text COLLATE "C",
    -- A request that was refused has a row, too, with what could be made of it.
    ADD CONSTRAINT exports_complete_request CHECK (
        status IN ('FAILED', 'EXPIRED') OR num_nulls(camera_ids, start_time, end_time, reason, created_by) = 0),
    ADD CONSTRAINT exports_failure CHECK ((failure_code IS NULL) = (failure IS NULL)),
    ADD CONSTRAINT exports_watermark CHECK ((watermark IS NULL) = (watermark_id IS NULL));
CREATE INDEX exports_watermark_id ON exports (watermark_id) WHERE watermark_id IS NOT NULL;   -- from a picture to its row
CREATE INDEX exports_created_at ON exports (created_at);                                      -- the latest ones

-- An export's camera: one of those that were asked for, and what became of it. `empty`: it has nothing in the range.
CREATE TABLE export_cameras (
    export_id  uuid NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
    number     smallint NOT NULL CHECK (number >= 0),   -- its place among those that were asked for
    camera_id  uuid NOT NULL REFERENCES cameras (id),
    state      text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'cut', 'empty')),
    done_ratio double precision NOT NULL DEFAULT 0 CHECK (done_ratio BETWEEN 0 AND 1),
    cut        jsonb,                          -- what the manifest says of it: catalogue/exports.py names the fields
    PRIMARY KEY (export_id, number),
    UNIQUE (export_id, camera_id),
    CHECK ((state = 'cut') = (cut IS NOT NULL))
);
CREATE INDEX export_cameras_camera ON export_cameras (camera_id);   -- a camera that is forgotten

-- An export's source: one segment that a camera was cut from, and the copy that was read, proved by its SHA-256. No
-- foreign key: footage may leave, and the record of it stays.
CREATE TABLE export_sources (
    export_id  uuid NOT NULL,
    number     smallint NOT NULL,              -- of the camera
    segment_id uuid NOT NULL,
    start_time timestamptz NOT NULL,
    end_time   timestamptz NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    checksum   char(64) NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
    store      text NOT NULL,
    path       text COLLATE "C" NOT NULL,
    note       text,                           -- which copies were wrong or could not be read; NULL: the first was right
    PRIMARY KEY (export_id, number, segment_id),
    FOREIGN KEY (export_id, number) REFERENCES export_cameras (export_id, number) ON DELETE CASCADE
);

-- An export's file: one object of it, written and verified. People get all but the parts, which files are composed of.
CREATE TABLE export_files (
    export_id    uuid NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (name <> ''),   -- as people get it; unique in the export
    kind         text NOT NULL CHECK (kind IN ('part', 'footage', 'thumbnail', 'contact_sheet', 'package', 'manifest')),
    number       smallint,                     -- of the camera that it shows; NULL: of all
    store        text NOT NULL CHECK (store <> ''),
    path         text COLLATE "C" NOT NULL CHECK (path <> ''),
    size_bytes   bigint NOT NULL CHECK (size_bytes >= 0),
    checksum     char(64) NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
    content_type text NOT NULL,
    facts        jsonb,                        -- of composed footage, for the manifest; NULL: it is a camera's cut
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (export_id, name)
);
