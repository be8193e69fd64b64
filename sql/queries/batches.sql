-- name: batch_by_id
-- The batch with this id.
SELECT id, job, run_id, zone, store, item_count, size_bytes FROM batches WHERE id = :batch_id;

-- name: batches_of_run
-- All batches of a run, in the order planned.
SELECT id, job, run_id, zone, store, item_count, size_bytes
FROM batches
WHERE job = :job AND run_id = :run_id
ORDER BY created_at, number;

-- name: lock_planning
-- Wait until no other plan for the same thing is under way; held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'reelkeeper planning', current_schema(), :what), 0));
