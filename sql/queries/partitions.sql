-- name: missing_tables
-- Which of these tables the schema lacks.
SELECT name FROM unnest(:names::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL;
