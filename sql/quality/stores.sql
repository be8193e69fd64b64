-- What stores must agree about. `looked` are the stores of the estate; each query gives the rows that are wrong.

-- name: store_reconciled
-- Stores that were not held against their listing for too long, or were doubted when they were. A new estate has time.
SELECT s.name AS store, s.outcome, s.finished_at, s.run_id
FROM looked s
WHERE s.outcome = 'sick' OR s.finished_at < :now - :reconciled_within
   OR s.finished_at IS NULL
      AND EXISTS (SELECT FROM catalogue_identity i WHERE i.made_at < :now - :reconciled_within)
ORDER BY s.name;

-- name: store_listing
-- Stores whose rows and objects differ by too much: orphans, lost replicas, wrong sizes, fewer objects than rows.
SELECT s.name AS store, s.replicas, s.objects, s.orphans, s.lost, s.wrong_size, s.finished_at, s.run_id
FROM looked s
WHERE s.orphans > :max_listing_difference_ratio * s.objects
   OR s.lost + s.wrong_size > :max_listing_difference_ratio * s.replicas
   OR s.replicas - s.objects > :max_listing_difference_ratio * s.replicas
ORDER BY s.name;
