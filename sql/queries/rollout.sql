-- name: last_rollout_step
-- The last decision about the ramp.
SELECT * FROM rollout_steps ORDER BY id DESC LIMIT 1;

-- name: last_rollout_change
-- The last decision that was more than to hold, of those since estate.toml's own percentage was changed.
SELECT *
FROM rollout_steps
WHERE action <> 'hold'
  AND id > coalesce((SELECT max(id) FROM rollout_steps WHERE configured_buckets <> :configured_buckets), 0)
ORDER BY id DESC
LIMIT 1;

-- name: rollout_step_of_run
-- What a run decided.
SELECT * FROM rollout_steps WHERE run_id = :run_id;

-- name: rollout_history
-- The last decisions, the newest first.
SELECT * FROM rollout_steps ORDER BY id DESC LIMIT :limit;

-- name: insert_rollout_step!
-- Add a decision. A run decides once.
INSERT INTO rollout_steps (decided_at, action, from_buckets, to_buckets, configured_buckets, reason, decided_by, run_id,
                           transfers, failure_ratio, upload_seconds)
VALUES (:decided_at, :action, :from_buckets, :to_buckets, :configured_buckets, :reason, :decided_by, :run_id,
        :transfers, :failure_ratio, :upload_seconds)
ON CONFLICT (run_id) DO NOTHING;

-- name: measure_transfers
-- What the transfers to a store were like that finished in [since, until): all of them, and the window of the clock with
-- the highest share of failures among those with enough transfers. A source that is not as recorded tells nothing about
-- the store, and is left out. The range is read by the index on finished_at, in the partitions of its months alone.
WITH windows AS (
    SELECT date_bin(:window, finished_at, timestamptz '2000-01-01 00:00:00+00') AS start_time, count(*) AS transfers,
           count(*) FILTER (WHERE outcome = 'failed') AS failed,
           sum(finished_at - started_at) FILTER (WHERE outcome = 'succeeded') AS spent
    FROM transfers
    WHERE finished_at >= :since::timestamptz AND finished_at < :until::timestamptz
      AND destination_store = :store AND job IN ('ingest', 'migrate')
      AND error_code IS DISTINCT FROM 'source_corrupted'
    GROUP BY 1
), worst AS (
    SELECT start_time, transfers, failed
    FROM windows WHERE transfers >= :min_in_window
    ORDER BY failed::double precision / transfers DESC, start_time DESC
    LIMIT 1
), whole AS (
    SELECT coalesce(sum(transfers), 0)::bigint AS transfers, coalesce(sum(failed), 0)::bigint AS failed,
           (extract(epoch FROM sum(spent)) / nullif(sum(transfers) - sum(failed), 0))::double precision AS upload_seconds
    FROM windows
)
SELECT whole.*, worst.start_time AS worst_start, worst.transfers AS worst_transfers, worst.failed AS worst_failed
FROM whole LEFT JOIN worst ON true;
