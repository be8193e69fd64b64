-- Which checks tell how the whole estate stands, and what one check leaves for the next.

-- A check of all suites, whose days nobody chose, is a whole one: people's pages tell what the last of them found, as one of
-- a part would hide what is wrong elsewhere. It looks at the last days and at a share of the older ones, another one each
-- day: where it finds something wrong, the next one looks again, until that is right.
ALTER TABLE quality_runs
    ADD COLUMN is_whole boolean NOT NULL DEFAULT true,           -- those before this: as they were taken for
    ADD COLUMN look_again jsonb NOT NULL DEFAULT '[]';           -- [{"start": …, "end": …}], ascending, half-open
ALTER TABLE quality_runs ALTER COLUMN is_whole DROP DEFAULT, ALTER COLUMN look_again DROP DEFAULT;
