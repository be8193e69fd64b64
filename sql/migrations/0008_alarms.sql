-- Whether the stores answer, which alarms are up, and who was told of them.

-- A store's health: what the last look at it found. No row: nobody has looked yet.
CREATE TABLE store_health (
    store     text PRIMARY KEY CHECK (store <> ''),
    state     text NOT NULL CHECK (state IN ('healthy', 'unreachable', 'foreign', 'unknown')),
    reason    text CHECK (reason <> ''),       -- the error's code; NULL: it is healthy
    since     timestamptz NOT NULL,            -- of the first look that found this state
    looked_at timestamptz NOT NULL,            -- of the last one
    CHECK ((state = 'healthy') = (reason IS NULL)),
    CHECK (looked_at >= since)
);

-- An alarm: one condition of one subject (a store, a camera as tenant/slug, '' for the whole estate). A row stays when all is
-- well again. It is pending while the condition has not held for long enough, firing when it has, and acknowledged when a
-- person has taken it on.
CREATE TABLE alarms (
    name            text NOT NULL CHECK (name <> ''),
    subject         text NOT NULL,
    state           text NOT NULL CHECK (state IN ('ok', 'pending', 'firing', 'acknowledged')),
    since           timestamptz NOT NULL,      -- of this state
    right_since     timestamptz,               -- of the measurements that are right again, while it is still up
    value           double precision,          -- last measured; NULL: it could not be
    threshold       double precision,          -- above which it is wrong
    detail          text NOT NULL,             -- the measurement in words
    fired_at        timestamptz,               -- when it last began to fire
    told_at         timestamptz,               -- when people were last to be told that it fires
    acknowledged_by text CHECK (acknowledged_by <> ''),
    acknowledgement text CHECK (acknowledgement <> ''),   -- why: the person's words
    evaluated_at    timestamptz NOT NULL,
    PRIMARY KEY (name, subject),
    CHECK ((state = 'acknowledged') = (acknowledged_by IS NOT NULL)),
    CHECK ((acknowledged_by IS NULL) = (acknowledgement IS NULL)),
    CHECK (state NOT IN ('firing', 'acknowledged') OR (fired_at IS NOT NULL AND told_at IS NOT NULL)),
    CHECK (right_since IS NULL OR state IN ('firing', 'acknowledged'))
);
CREATE INDEX alarms_up ON alarms (name, subject) WHERE state <> 'ok';   -- what each round looks at

-- An alarm's event: append-only history. The id is a function of what it tells, so that a receiver can drop doubles.
CREATE TABLE alarm_events (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id        uuid NOT NULL UNIQUE,
    name      text NOT NULL,
    subject   text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('fired', 'reminded', 'acknowledged', 'recovered')),
    severity  text NOT NULL CHECK (severity IN ('critical', 'warning')),
    at        timestamptz NOT NULL,
    value     double precision,
    threshold double precision,
    detail    text NOT NULL,
    by        text CHECK (by <> ''),           -- who acknowledged it
    CHECK ((by IS NOT NULL) = (kind = 'acknowledged'))
);
CREATE INDEX alarm_events_alarm ON alarm_events (name, subject, number);   -- an alarm's history
CREATE INDEX alarm_events_at ON alarm_events (at);                         -- the latest ones

-- A delivery: one event for one channel of estate.toml. It is made together with the event, so that a kill before it is
-- sent loses nothing, and is marked after it was sent: a kill between the two sends it twice.
CREATE TABLE alarm_deliveries (
    event_number bigint NOT NULL REFERENCES alarm_events (number) ON DELETE CASCADE,
    channel      text NOT NULL CHECK (channel <> ''),
    sent_at      timestamptz,                  -- NULL: not yet
    tries        integer NOT NULL DEFAULT 0 CHECK (tries >= 0),   -- that failed
    failure      text CHECK (failure <> ''),   -- the last one, by its name: the log has the rest
    PRIMARY KEY (event_number, channel)
);
CREATE INDEX alarm_deliveries_waiting ON alarm_deliveries (channel, event_number) WHERE sent_at IS NULL;
