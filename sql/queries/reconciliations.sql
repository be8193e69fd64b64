-- name: record_reconciliation!
-- What a run found in a store; trying it again tells it anew, and keeps what had been done by then.
INSERT INTO reconciliations AS r (
    run_id, store, outcome, objects, object_bytes, foreign_objects, replicas, orphans, orphan_bytes, quarantined, lost,
    wrong_size, repaired, healed, report_path, started_at, finished_at)
VALUES (:run_id, :store, :outcome, :objects, :object_bytes, :foreign_objects, :replicas, :orphans, :orphan_bytes, 0, :lost,
        :wrong_size, 0, :healed, :report_path, :started_at, :finished_at)
ON CONFLICT (run_id, store) DO UPDATE SET
    outcome = excluded.outcome, objects = excluded.objects, object_bytes = excluded.object_bytes,
    foreign_objects = excluded.foreign_objects, replicas = excluded.replicas, orphans = excluded.orphans,
    orphan_bytes = excluded.orphan_bytes, lost = excluded.lost, wrong_size = excluded.wrong_size,
    healed = r.healed + excluded.healed, report_path = excluded.report_path, finished_at = excluded.finished_at;

-- name: record_quarantined!
-- What a run has put into quarantine, and that it acted, unless there was nothing to do.
UPDATE reconciliations SET
    outcome = CASE WHEN outcome = 'agreed' AND :quarantined = 0 THEN 'agreed' ELSE 'acted' END,
    quarantined = quarantined + :quarantined
WHERE run_id = :run_id AND store = :store;

-- name: record_repaired!
-- What a run's repairs have made good by now.
UPDATE reconciliations r
SET repaired = (SELECT count(*) FROM transfer_items i JOIN batches b ON b.id = i.batch_id
                WHERE b.job = 'repair' AND b.run_id = r.run_id AND b.store = r.store AND i.state = 'done')
WHERE r.run_id = :run_id;

-- name: reconciliations_of_run
-- What a run found, store by store.
SELECT run_id, store, outcome, objects, object_bytes, foreign_objects, replicas, orphans, orphan_bytes, quarantined, lost,
       wrong_size, repaired, healed, report_path, started_at, finished_at
FROM reconciliations WHERE run_id = :run_id ORDER BY store;
