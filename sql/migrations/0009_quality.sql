-- What the checks of the catalogue's quality found. History: a run that is tried again tells anew.

-- A quality run: one check of the catalogue, or of what one run of ingest took in and was not found right.
CREATE TABLE quality_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job         text NOT NULL CHECK (job <> ''),        -- the DAG
    run_id      text NOT NULL,                          -- of the DAG run
    outcome     text NOT NULL CHECK (outcome IN ('passed', 'warned', 'failed')),
    docs_path   text COLLATE "C",                       -- its Data Docs, in the exports store
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    UNIQUE (job, run_id),
    CHECK (finished_at >= started_at)
);
CREATE INDEX quality_runs_started_at ON quality_runs (started_at);   -- house-keeping, and the latest of a job

-- A quality result: what became of one expectation in one run.
CREATE TABLE quality_results (
    quality_run_id bigint NOT NULL REFERENCES quality_runs (id) ON DELETE CASCADE,
    suite          text NOT NULL,
    expectation    text NOT NULL,
    severity       text NOT NULL CHECK (severity IN ('fail', 'warn')),
    success        boolean NOT NULL,
    looked_at      bigint NOT NULL CHECK (looked_at >= 0),      -- rows
    failing        bigint NOT NULL CHECK (failing >= 0),        -- rows that are wrong
    mostly         double precision NOT NULL CHECK (mostly BETWEEN 0 AND 1),   -- share of rows that must be right
    examples       jsonb NOT NULL,                              -- the first of the rows that are wrong
    report_path    text COLLATE "C",                            -- all of them, in the exports store; NULL: none is wrong
    PRIMARY KEY (quality_run_id, expectation)
);
