-- name: cameras_of_tenant
-- All cameras of a tenant.
SELECT id, tenant, slug, name, retention_days FROM cameras WHERE tenant = :tenant ORDER BY slug;

-- name: cameras_by_id
-- The cameras with these ids.
SELECT id, tenant, slug, name, retention_days FROM cameras WHERE id = ANY (:ids::uuid[]);

-- name: cameras_named
-- The cameras with these names.
SELECT c.id, c.tenant, c.slug, c.name, c.retention_days
FROM json_to_recordset(:rows::json) AS n (tenant text, slug text)
JOIN cameras c ON c.tenant = n.tenant AND c.slug = n.slug;

-- name: register_cameras!
-- Add cameras; those that are there win.
INSERT INTO cameras (id, tenant, slug, name, retention_days)
SELECT id, tenant, slug, name, retention_days
FROM json_to_recordset(:rows::json) AS n (id uuid, tenant text, slug text, name text, retention_days integer)
ORDER BY tenant, slug
ON CONFLICT (tenant, slug) DO NOTHING;

-- name: upsert_cameras
-- Add cameras or change those that are there, whose ids stay. One row for each that was added or changed.
INSERT INTO cameras AS c (id, tenant, slug, name, retention_days)
SELECT id, tenant, slug, name, retention_days
FROM json_to_recordset(:rows::json) AS n (id uuid, tenant text, slug text, name text, retention_days integer)
ORDER BY tenant, slug
ON CONFLICT (tenant, slug) DO UPDATE SET name = excluded.name, retention_days = excluded.retention_days
    WHERE (c.name, c.retention_days) IS DISTINCT FROM (excluded.name, excluded.retention_days)
RETURNING xmax = 0 AS created;
