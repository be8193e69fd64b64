-- name: catalogue_identity
-- Which catalogue this is, and where, for people, and since when; no row: no store was set up from here.
SELECT id, current_database() || '.' || current_schema() AS database, made_at FROM catalogue_identity;

-- name: make_catalogue_identity!
-- Give this catalogue an identity, unless it has one.
INSERT INTO catalogue_identity (id) VALUES (gen_random_uuid()) ON CONFLICT (is_only) DO NOTHING;
