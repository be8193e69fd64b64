-- name: alarms_up
-- The alarms that are not ok: what a round has to look at, whatever it measures.
SELECT * FROM alarms WHERE state <> 'ok';

-- name: list_alarms
-- Alarms, those that are up first; one of one name, or all.
SELECT * FROM alarms
WHERE (:with_ok OR state <> 'ok') AND (:name::text IS NULL OR name = :name)
ORDER BY state = 'ok', name, subject;

-- name: save_alarms!
-- Keep states of alarms, in place of those before.
INSERT INTO alarms (name, subject, state, since, right_since, value, threshold, detail, fired_at, told_at,
                    acknowledged_by, acknowledgement, evaluated_at)
SELECT name, subject, state, since, right_since, value, threshold, detail, fired_at, told_at, acknowledged_by,
       acknowledgement, evaluated_at
FROM json_to_recordset(:rows::json) AS r (
    name text, subject text, state text, since timestamptz, right_since timestamptz, value double precision,
    threshold double precision, detail text, fired_at timestamptz, told_at timestamptz, acknowledged_by text,
    acknowledgement text, evaluated_at timestamptz)
ON CONFLICT (name, subject) DO UPDATE
SET state = excluded.state, since = excluded.since, right_since = excluded.right_since, value = excluded.value,
    threshold = excluded.threshold, detail = excluded.detail, fired_at = excluded.fired_at,
    told_at = excluded.told_at, acknowledged_by = excluded.acknowledged_by,
    acknowledgement = excluded.acknowledgement, evaluated_at = excluded.evaluated_at;

-- name: keep_well_alarms!
-- Keep what was measured of alarms of the whole estate that are ok, also of those that were never wrong: it tells when
-- alarms were last judged.
INSERT INTO alarms (name, subject, state, since, value, threshold, detail, evaluated_at)
SELECT name, '', 'ok', :now, value, threshold, detail, :now
FROM json_to_recordset(:rows::json) AS r (name text, value double precision, threshold double precision, detail text)
ON CONFLICT (name, subject) DO UPDATE
SET value = excluded.value, threshold = excluded.threshold, detail = excluded.detail,
    evaluated_at = excluded.evaluated_at
WHERE alarms.state = 'ok';

-- name: alarms_judged_at
-- When alarms were last judged: those of the whole estate are in every round. NULL: never.
SELECT max(evaluated_at) AS judged_at FROM alarms WHERE subject = '';

-- name: insert_alarm_events!
-- Add what became of alarms to their history, in this order; what stands there already is not added again.
INSERT INTO alarm_events (id, name, subject, kind, severity, at, value, threshold, detail, by)
SELECT id, name, subject, kind, severity, at, value, threshold, detail, by
FROM json_to_recordset(:rows::json) AS r (
    place integer, id uuid, name text, subject text, kind text, severity text, at timestamptz, value double precision,
    threshold double precision, detail text, by text)
ORDER BY place
ON CONFLICT (id) DO NOTHING;

-- name: insert_deliveries!
-- Let channels be told of events.
INSERT INTO alarm_deliveries (event_number, channel)
SELECT e.number, r.channel
FROM json_to_recordset(:rows::json) AS r (id uuid, channel text) JOIN alarm_events e USING (id)
ON CONFLICT (event_number, channel) DO NOTHING;

-- name: insert_following_deliveries!
-- Let those channels be told of events that were, or will be, told of the firing that each belongs to.
INSERT INTO alarm_deliveries (event_number, channel)
SELECT e.number, d.channel
FROM json_to_recordset(:rows::json) AS r (id uuid, about uuid)
JOIN alarm_events e ON e.id = r.id
JOIN alarm_events f ON f.id = r.about
JOIN alarm_deliveries d ON d.event_number = f.number
ON CONFLICT (event_number, channel) DO NOTHING;

-- name: withdraw_deliveries!
-- Forget what channels were to be told that are not the estate's any more.
DELETE FROM alarm_deliveries WHERE sent_at IS NULL AND channel <> ALL (:channels::text[]);

-- name: waiting_deliveries
-- The first events that a channel was not told of yet.
SELECT e.*, d.tries
FROM alarm_deliveries d JOIN alarm_events e ON e.number = d.event_number
WHERE d.channel = :channel AND d.sent_at IS NULL
ORDER BY d.event_number
LIMIT :limit;

-- name: count_waiting_deliveries
-- How many events each channel was not told of yet, and the last failure to.
SELECT channel, count(*) AS events, max(tries) AS tries, max(failure) AS failure
FROM alarm_deliveries WHERE sent_at IS NULL GROUP BY channel ORDER BY channel;

-- name: mark_sent!
-- A channel was told of these events.
UPDATE alarm_deliveries d SET sent_at = :now, failure = NULL
FROM alarm_events e
WHERE d.channel = :channel AND d.sent_at IS NULL AND e.number = d.event_number AND e.id = ANY (:ids::uuid[]);

-- name: mark_unsent!
-- A channel could not be told of these events.
UPDATE alarm_deliveries d SET tries = d.tries + 1, failure = :failure
FROM alarm_events e
WHERE d.channel = :channel AND d.sent_at IS NULL AND e.number = d.event_number AND e.id = ANY (:ids::uuid[]);

-- name: alarm_history
-- What became of an alarm's subject, or of all alarms, the newest first, with the channels that were told and that were not yet.
SELECT e.*,
       array(SELECT d.channel FROM alarm_deliveries d
             WHERE d.event_number = e.number AND d.sent_at IS NOT NULL ORDER BY d.channel) AS told,
       array(SELECT d.channel FROM alarm_deliveries d
             WHERE d.event_number = e.number AND d.sent_at IS NULL ORDER BY d.channel) AS waiting
FROM alarm_events e
WHERE (:name::text IS NULL OR e.name = :name) AND (:subject::text IS NULL OR e.subject = :subject)
ORDER BY e.number DESC
LIMIT :limit;

-- name: forget_alarm_events!
-- Forget what became of alarms before a time, with who was told; but for alarms that are up since before.
DELETE FROM alarm_events e
WHERE e.at < :before
  AND NOT EXISTS (SELECT FROM alarms a
                  WHERE a.name = e.name AND a.subject = e.subject AND a.state <> 'ok' AND a.fired_at <= e.at);

-- name: count_failed_uploads
-- Transfers to each store that finished in [since, until) and failed with one of these codes, where there were any.
SELECT destination_store AS store, count(*) AS transfers
FROM transfers
WHERE finished_at >= :since::timestamptz AND finished_at < :until::timestamptz
  AND outcome = 'failed' AND error_code = ANY (:codes::text[])
GROUP BY destination_store;
