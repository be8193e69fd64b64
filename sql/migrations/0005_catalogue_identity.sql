-- Which catalogue this is. Every store that is set up from here says so in its marker, so that two estates on one bucket
-- are noticed: each would take the other's footage for orphans.

-- The only row is the catalogue's identity, made when the first store is set up. A copy of the database (a staging estate
-- from production's dump) has the same identity: delete the row there before the copy's first run.
CREATE TABLE catalogue_identity (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    id      uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
