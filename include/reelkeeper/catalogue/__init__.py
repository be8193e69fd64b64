"""What we know: schema migrations, named queries, typed repositories over PostgreSQL (psycopg2)."""
