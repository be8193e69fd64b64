-- name: first_replica_start
-- Where the footage of some stores begins; NULL when they hold none.
SELECT min(start_time) AS start_time FROM replicas WHERE store = ANY (:stores::text[]);

-- name: stale_tier_moves
-- The moves that `drop_stale_tier_moves` would give up and that a worker has begun, with the replicas as they are recorded.
SELECT r.*, m.to_tier
FROM tier_moves m
JOIN batches b ON b.id = m.batch_id
JOIN replicas r ON r.segment_id = m.segment_id AND r.start_time = m.start_time AND r.store = m.store
WHERE b.run_id <> :run_id AND m.state IN ('pending', 'claimed') AND m.attempts > 0
  AND m.updated_at < statement_timestamp() - :stale_after
  AND (m.claimed_until IS NULL OR m.claimed_until < statement_timestamp())
ORDER BY m.start_time, m.segment_id;

-- name: drop_stale_tier_moves!
-- Give up the moves that another run left open (untouched for a time, under no lease), so that they can be planned anew.
UPDATE tier_moves m
SET state = 'dropped', claimed_until = NULL, error = 'the run that planned it left it', updated_at = statement_timestamp()
FROM batches b
WHERE b.id = m.batch_id AND b.run_id <> :run_id AND m.state IN ('pending', 'claimed')
  AND m.updated_at < statement_timestamp() - :stale_after
  AND (m.claimed_until IS NULL OR m.claimed_until < statement_timestamp());

-- name: resting_tier_moves
-- The moves that failed for good lately: they rest, so that they do not fail every run.
SELECT DISTINCT segment_id, store FROM tier_moves
WHERE state = 'failed' AND updated_at > statement_timestamp() - :failed_rest;

-- name: make_tier_choices!
-- Room for what the cost model says. Gone with the connection.
CREATE TEMPORARY TABLE IF NOT EXISTS tier_choices AS
SELECT * FROM json_to_recordset('[]') AS c (
    store text, from_rank integer, wanted integer, is_held boolean, kept_step integer, from_bytes bigint, below_bytes bigint,
    to_tier text, to_store text, is_carried boolean, one_off_fixed double precision,
    one_off_per_byte double precision, saving_fixed double precision, saving_per_byte double precision)
WITH NO DATA;

-- name: prepare_whole_months
-- For this transaction: months are read whole, where the planner would expect that few of their replicas have to move.
SELECT set_config('enable_nestloop', 'off', true) AS nestloop;

-- name: note_tier_choices!
-- What the cost model says, in the place of what it said before.
WITH gone AS (DELETE FROM tier_choices)
INSERT INTO tier_choices
SELECT * FROM json_to_recordset(:choices::json) AS c (
    store text, from_rank integer, wanted integer, is_held boolean, kept_step integer, from_bytes bigint, below_bytes bigint,
    to_tier text, to_store text, is_carried boolean, one_off_fixed double precision,
    one_off_per_byte double precision, saving_fixed double precision, saving_per_byte double precision);

-- name: plan_tier_moves
-- Put the replicas of one range of start times that belong in a colder tier, and whose move pays, into new batches; the
-- oldest first, as many as there is room for. choices is what the cost model says: for a store, a tier, the tier that
-- the age asks for, whether the footage is held and must stay readable, and how long it is still kept (a step of
-- kept_days), which move pays from which size on, and the line on which its costs lie. A replica that is still billed
-- for the minimum duration of its class waits: leaving it would pay for both. One row for each kind of move and what
-- became of it: 'taken' are in batches, 'pays' is all that pays, the others do not move, with the largest as an example.
WITH origins AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:origins::json) AS o (
        store text, rank integer, minimum_days integer, is_archive boolean, next_rank integer)
), resting AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:resting::json) AS f (segment_id uuid, store text)
), held AS MATERIALIZED (
    SELECT camera_id, segment_id, start_time, end_time
    FROM held_footage
    WHERE (expires_at IS NULL OR expires_at > :now)
      AND (start_time IS NULL OR start_time < :range_end::timestamptz + interval '24 hours')
      AND (end_time IS NULL OR end_time > :range_start)
), aged AS (
    SELECT r.segment_id, r.start_time, s.end_time, s.camera_id, r.store, r.tier AS from_tier, r.size_bytes,
           CASE r.tier WHEN 'HOT' THEN 1 WHEN 'COOL' THEN 2 WHEN 'COLD' THEN 3 ELSE 4 END AS from_rank,
           (:wanted_ranks::integer[])[width_bucket(s.end_time, :boundaries::timestamptz[]) + 1] AS wanted,
           greatest(date_part('day', least(
               s.end_time + coalesce(c.retention_days, :default_days) * interval '1 day', r.retire_after
           ) - :now::timestamptz), 0)::integer AS days_kept,
           greatest(date_part('day', :now::timestamptz - coalesce(r.tier_since, r.created_at)), 0)::integer AS days_in_tier
    FROM replicas r
    JOIN segments s ON s.id = r.segment_id AND s.start_time = r.start_time
    JOIN cameras c ON c.id = s.camera_id
    WHERE r.start_time >= :range_start AND r.start_time < :range_end
      AND s.start_time >= :range_start AND s.start_time < :range_end
      AND r.store = ANY (:stores::text[]) AND r.state = 'available'
      AND (r.readable_until IS NULL OR r.readable_until <= :now)
      -- by the start it belongs in no warmer tier than by the end: what is right already needs no segment
      AND CASE r.tier WHEN 'HOT' THEN 1 WHEN 'COOL' THEN 2 WHEN 'COLD' THEN 3 ELSE 4 END
          < (:wanted_ranks::integer[])[width_bucket(r.start_time, :boundaries::timestamptz[]) + 1]
    OFFSET 0   -- each is computed once
), candidates AS (
    SELECT a.*, o.minimum_days, o.is_archive, width_bucket(a.days_kept, :kept_days::integer[]) AS kept_step,
           a.wanted = ANY (:archive_ranks::integer[]) AND EXISTS (
               SELECT FROM held h
               WHERE h.segment_id = a.segment_id
                  OR h.segment_id IS NULL AND (h.camera_id IS NULL OR h.camera_id = a.camera_id)
                     AND (h.start_time IS NULL OR h.start_time < a.end_time)
                     AND (h.end_time IS NULL OR h.end_time > a.start_time)) AS is_held
    FROM aged a
    JOIN origins o ON o.store = a.store AND o.rank = a.from_rank AND o.next_rank <= a.wanted
    WHERE NOT EXISTS (SELECT FROM tier_moves m
                      WHERE m.segment_id = a.segment_id AND m.store = a.store AND m.state IN ('pending', 'claimed'))
      AND NOT EXISTS (SELECT FROM resting f WHERE f.segment_id = a.segment_id AND f.store = a.store)
      AND NOT EXISTS (SELECT FROM transfer_items i
                      WHERE i.segment_id = a.segment_id AND a.store IN (i.source_store, i.destination_store)
                        AND i.state IN ('pending', 'claimed') AND i.updated_at > statement_timestamp() - :stale_transfer)
      AND NOT EXISTS (SELECT FROM restores t
                      WHERE t.segment_id = a.segment_id AND t.store = a.store
                        AND t.state IN ('planned', 'requested', 'readable'))
    OFFSET 0
), priced AS MATERIALIZED (
    SELECT k.segment_id, k.start_time, k.store, k.from_tier, coalesce(p.to_tier, (:tiers::text[])[k.wanted]) AS to_tier, k.size_bytes,
           k.days_in_tier, k.days_kept, p.is_carried,
           greatest(p.one_off_fixed + p.one_off_per_byte * k.size_bytes, 0) AS one_off_usd,
           p.saving_fixed + p.saving_per_byte * k.size_bytes AS saving_usd,
           CASE WHEN k.is_archive THEN 'archived'
                WHEN k.days_in_tier < k.minimum_days THEN 'waits'
                WHEN p.to_tier IS NULL AND k.is_held THEN 'held'
                WHEN p.to_tier IS NULL THEN 'loses'
                WHEN p.to_store <> k.store AND EXISTS (
                    SELECT FROM replicas d
                    WHERE d.segment_id = k.segment_id AND d.start_time = k.start_time AND d.store = p.to_store
                      AND d.start_time >= :range_start AND d.start_time < :range_end) THEN 'copied'
                ELSE 'pays' END AS outcome
    FROM candidates k
    LEFT JOIN tier_choices p ON p.store = k.store AND p.from_rank = k.from_rank AND p.wanted = k.wanted
         AND p.is_held = k.is_held AND p.kept_step = k.kept_step
         AND k.size_bytes >= p.from_bytes AND k.size_bytes < p.below_bytes
), numbered AS (
    SELECT m.*, batch_number(CASE WHEN m.is_carried THEN m.size_bytes ELSE 1 END, :batch_size, :batch_bytes)
                OVER (PARTITION BY m.store, m.is_carried ORDER BY m.start_time, m.segment_id
                      ROWS UNBOUNDED PRECEDING) AS number
    FROM (SELECT * FROM priced WHERE outcome = 'pays' ORDER BY start_time, segment_id
          LIMIT :max_batches::bigint * :batch_size) m
), new_batches AS MATERIALIZED (
    SELECT *, gen_random_uuid() AS id
    FROM (SELECT store, is_carried, number, count(*) AS item_count, sum(size_bytes)::bigint AS size_bytes,
                 row_number() OVER (ORDER BY number, store, is_carried) - 1 AS place
          FROM numbered GROUP BY store, is_carried, number) filled
    WHERE place < :max_batches
), taken AS MATERIALIZED (
    SELECT n.*, b.id FROM numbered n JOIN new_batches b USING (store, is_carried, number)
), inserted_batches AS (
    INSERT INTO batches (id, job, run_id, store, number, item_count, size_bytes)
    SELECT id, 'tier', :run_id, store, :first_number + place, item_count, size_bytes
    FROM new_batches WHERE NOT :dry_run
), inserted_moves AS (
    INSERT INTO tier_moves (batch_id, segment_id, start_time, store, from_tier, to_tier, size_bytes, one_off_usd,
                            saving_usd)
    SELECT id, segment_id, start_time, store, from_tier, to_tier, size_bytes, one_off_usd, saving_usd
    FROM taken WHERE NOT :dry_run
)
SELECT 'taken' AS outcome, store, from_tier, to_tier, count(*) AS replicas, sum(size_bytes)::bigint AS size_bytes,
       sum(one_off_usd) AS one_off_usd, sum(saving_usd) AS saving_usd, NULL::bigint[] AS example,
       (SELECT count(*) FROM new_batches) AS batches
FROM taken GROUP BY store, from_tier, to_tier
UNION ALL
SELECT outcome, store, from_tier, to_tier, count(*), sum(size_bytes)::bigint, sum(one_off_usd), sum(saving_usd),
       max(ARRAY[size_bytes, days_in_tier, days_kept]) FILTER (WHERE outcome <> 'pays'), 0
FROM priced GROUP BY outcome, store, from_tier, to_tier
ORDER BY store, from_tier, to_tier, outcome;

-- name: planned_tier_moves
-- What a run has planned, by kind of move; what was dropped is not counted.
SELECT m.store, m.from_tier, m.to_tier, count(*) AS replicas, sum(m.size_bytes)::bigint AS size_bytes,
       sum(m.one_off_usd) AS one_off_usd, sum(m.saving_usd) AS saving_usd
FROM batches b JOIN tier_moves m ON m.batch_id = b.id
WHERE b.job = 'tier' AND b.run_id = :run_id AND m.state <> 'dropped'
GROUP BY m.store, m.from_tier, m.to_tier
ORDER BY m.store, m.from_tier, m.to_tier;

-- name: done_tier_moves
-- What a run has moved, by kind of move.
SELECT m.store, m.from_tier, m.to_tier, count(*) AS replicas, sum(m.size_bytes)::bigint AS size_bytes,
       sum(m.one_off_usd) AS one_off_usd, sum(m.saving_usd) AS saving_usd
FROM batches b JOIN tier_moves m ON m.batch_id = b.id
WHERE b.job = 'tier' AND b.run_id = :run_id AND m.state = 'done'
GROUP BY m.store, m.from_tier, m.to_tier
ORDER BY m.store, m.from_tier, m.to_tier;

-- name: claim_tier_moves
-- Claim open moves of a batch for one worker, passing over those that others claim at this moment and those named.
WITH taken AS (
    SELECT segment_id
    FROM tier_moves
    WHERE batch_id = :batch_id AND segment_id::text <> ALL (:passing_over::text[])
      AND (state = 'pending' OR state = 'claimed' AND claimed_until < statement_timestamp())
    ORDER BY start_time, segment_id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
)
UPDATE tier_moves m
SET state = 'claimed', attempts = m.attempts + 1, claimed_until = statement_timestamp() + :lease,
    updated_at = statement_timestamp()
FROM taken
WHERE m.batch_id = :batch_id AND m.segment_id = taken.segment_id
RETURNING m.batch_id, m.segment_id, m.start_time, m.store, m.from_tier, m.to_tier, m.size_bytes, m.attempts;

-- name: tier_move_details
-- The replicas that are to move, as they stand now, where their segments have other replicas, and whether they are held.
SELECT r.*, s.extension,
       ARRAY(SELECT d.store FROM replicas d
             WHERE d.segment_id = r.segment_id AND d.start_time = r.start_time AND d.store <> r.store
               AND d.start_time BETWEEN :first_start AND :last_start) AS other_stores,
       EXISTS (SELECT FROM held_footage h
               WHERE (h.expires_at IS NULL OR h.expires_at > statement_timestamp())
                 AND (h.segment_id = r.segment_id
                      OR h.segment_id IS NULL AND (h.camera_id IS NULL OR h.camera_id = s.camera_id)
                         AND (h.start_time IS NULL OR h.start_time < s.end_time)
                         AND (h.end_time IS NULL OR h.end_time > s.start_time))) AS is_held
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, start_time timestamptz, store text)
JOIN replicas r ON r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store
JOIN segments s ON s.id = n.segment_id AND s.start_time = n.start_time
WHERE r.start_time BETWEEN :first_start AND :last_start AND s.start_time BETWEEN :first_start AND :last_start;

-- name: extend_tier_claims!
-- Renew the lease of moves that the same claim still holds.
UPDATE tier_moves m SET claimed_until = statement_timestamp() + :lease, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (segment_id uuid, attempts integer)
WHERE m.batch_id = :batch_id AND m.segment_id = n.segment_id AND m.state = 'claimed' AND m.attempts = n.attempts;

-- name: settle_tier_moves!
-- Moves that the same claim still holds are done, have failed, are dropped, or go back to pending.
UPDATE tier_moves m
SET state = n.state, claimed_until = NULL, error_code = n.error_code, error = n.error, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (
    segment_id uuid, attempts integer, state text, error_code text, error text)
WHERE m.batch_id = :batch_id AND m.segment_id = n.segment_id AND m.state = 'claimed' AND m.attempts = n.attempts;

-- name: complete_tier_moves!
-- These replicas are in their new tiers: their moves are done, whoever holds them.
UPDATE tier_moves m
SET state = 'done', claimed_until = NULL, error_code = NULL, error = NULL, updated_at = statement_timestamp()
FROM json_to_recordset(:rows::json) AS n (segment_id uuid)
WHERE m.batch_id = :batch_id AND m.segment_id = n.segment_id AND m.state IN ('pending', 'claimed');

-- name: place_replicas
-- Replicas are where they were moved to, and the reads of their segments follow. Only those that are still where they
-- were; of copies those alone that are available and whose new place is nobody else's. An object whose class changed in
-- place has it, whatever became of its replica meanwhile. One row for each.
WITH placed AS (
    UPDATE replicas r
    SET store = n.to_store, path = n.to_path, storage_class = n.storage_class, tier = n.to_tier, tier_since = :now,
        seen_at = :now, verified_at = CASE WHEN n.to_path = n.path AND n.to_store = n.store THEN r.verified_at
                                      ELSE :now END, readable_until = NULL
    FROM json_to_recordset(:rows::json) AS n (
        segment_id uuid, start_time timestamptz, store text, path text, to_store text, to_path text, to_tier text,
        storage_class text)
    WHERE r.segment_id = n.segment_id AND r.start_time = n.start_time AND r.store = n.store AND r.path = n.path
      AND r.start_time BETWEEN :first_start AND :last_start
      AND (n.to_path = n.path AND n.to_store = n.store
           OR r.state = 'available'
              AND NOT EXISTS (SELECT FROM condemnations c WHERE c.store = n.to_store AND c.path = n.to_path))
      AND NOT (n.to_store <> n.store AND EXISTS (
          SELECT FROM replicas d
          WHERE d.segment_id = n.segment_id AND d.start_time = n.start_time AND d.store = n.to_store
            AND d.start_time BETWEEN :first_start AND :last_start))
    RETURNING r.segment_id, r.start_time, r.store AS to_store, r.path AS to_path, n.store, n.path
), pointed AS (
    UPDATE segments s SET storage_backend = p.to_store, storage_path = p.to_path
    FROM placed p
    WHERE s.id = p.segment_id AND s.start_time = p.start_time AND s.storage_backend = p.store
      AND s.storage_path = p.path AND s.start_time BETWEEN :first_start AND :last_start
)
SELECT segment_id FROM placed;

-- name: open_tier_moves
-- How many moves of a batch are pending or claimed by anybody, without those named.
SELECT count(*) AS open FROM tier_moves
WHERE batch_id = :batch_id AND state IN ('pending', 'claimed') AND segment_id::text <> ALL (:passing_over::text[]);

-- name: drop_tier_moves!
-- What a run planned and has not begun is not wanted.
UPDATE tier_moves m SET state = 'dropped', error = :why, updated_at = statement_timestamp()
FROM batches b
WHERE b.id = m.batch_id AND b.job = 'tier' AND b.run_id = :run_id AND m.state = 'pending';

-- name: tier_move_counts
-- How far a run's moves are.
SELECT count(*) FILTER (WHERE m.state = 'pending') AS pending, count(*) FILTER (WHERE m.state = 'claimed') AS claimed,
       count(*) FILTER (WHERE m.state = 'done') AS done, count(*) FILTER (WHERE m.state = 'failed') AS failed,
       count(*) FILTER (WHERE m.state = 'dropped') AS dropped
FROM batches b JOIN tier_moves m ON m.batch_id = b.id
WHERE b.job = 'tier' AND b.run_id = :run_id;

-- name: tier_move_failures
-- Moves of a run that failed for good.
SELECT m.segment_id, m.start_time, m.store, m.from_tier, m.to_tier, m.error_code, m.error
FROM batches b JOIN tier_moves m ON m.batch_id = b.id
WHERE b.job = 'tier' AND b.run_id = :run_id AND m.state = 'failed'
ORDER BY m.start_time, m.segment_id
LIMIT :limit;
