-- name: forget_quality_run!
-- A run that is tried again tells anew, its results included.
DELETE FROM quality_runs WHERE job = :job AND run_id = :run_id;

-- name: forget_quality_runs!
-- Runs that began before this, with their results.
DELETE FROM quality_runs WHERE started_at < :before;

-- name: record_quality_run!
-- What came of a check, and what became of each expectation in it.
WITH run AS (
    INSERT INTO quality_runs (job, run_id, outcome, docs_path, started_at, finished_at, is_whole, look_again)
    VALUES (:job, :run_id, :outcome, :docs_path, :started_at, :finished_at, :is_whole, :look_again::jsonb)
    RETURNING id
)
INSERT INTO quality_results (
    quality_run_id, suite, expectation, severity, success, looked_at, failing, mostly, examples, report_path)
SELECT run.id, n.suite, n.expectation, n.severity, n.success, n.looked_at, n.failing, n.mostly, n.examples, n.report_path
FROM run, json_to_recordset(:rows::json) AS n (
    suite text, expectation text, severity text, success boolean, looked_at bigint, failing bigint,
    mostly double precision, examples jsonb, report_path text);

-- name: latest_quality_run
-- The whole check of a job that began last.
SELECT id, job, run_id, outcome, docs_path, started_at, finished_at, is_whole, look_again
FROM quality_runs WHERE job = :job AND is_whole ORDER BY started_at DESC LIMIT 1;

-- name: quality_results_of
-- What became of each expectation in a run.
SELECT suite, expectation, severity, success, looked_at, failing, mostly, examples, report_path
FROM quality_results WHERE quality_run_id = :number ORDER BY suite, expectation;

-- name: oldest_segment
-- When the oldest footage began.
SELECT start_time FROM segments ORDER BY start_time LIMIT 1;

-- name: ingested_by_run
-- How many segments a run of ingest took in, and when the first and the last of them start.
SELECT count(*) AS segments, min(f.start_time) AS first, max(f.start_time) AS last
FROM batches b JOIN landing_files f ON f.batch_id = b.id AND f.state = 'ingested'
WHERE b.job = 'ingest' AND b.run_id = :run_id;
