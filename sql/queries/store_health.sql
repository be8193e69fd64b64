-- name: store_health
-- What the last look at each store found.
SELECT store, state, reason, since, looked_at FROM store_health ORDER BY store;

-- name: record_store_health!
-- Record looks at stores. A state that is the same as before keeps the time since when; a look that is older than the
-- one on record changes nothing.
INSERT INTO store_health AS h (store, state, reason, since, looked_at)
SELECT store, state, reason, looked_at, looked_at
FROM json_to_recordset(:rows::json) AS r(store text, state text, reason text, looked_at timestamptz)
ON CONFLICT (store) DO UPDATE
SET state = excluded.state, reason = excluded.reason, looked_at = excluded.looked_at,
    since = CASE WHEN h.state = excluded.state THEN h.since ELSE excluded.since END
WHERE h.looked_at <= excluded.looked_at;
