-- Which attempt at an export a worker belongs to. One that failed may begin anew, by another run and with other terms, while
-- a worker of the run before is still at work: what that one has made is not to get into the new one.

ALTER TABLE exports
    ADD COLUMN attempt integer NOT NULL DEFAULT 1 CHECK (attempt > 0);   -- grows by one each time it begins anew
