#!/bin/sh
# Airflow's database and the catalogue's, each with an owner of its own. PostgreSQL's image runs this when its volume is
# new, and never again.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv catalogue_password CATALOGUE_DB_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE reelkeeper LOGIN PASSWORD :'catalogue_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE catalogue OWNER reelkeeper;
REVOKE CONNECT ON DATABASE airflow, catalogue FROM PUBLIC;
SQL
