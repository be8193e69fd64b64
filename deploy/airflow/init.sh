#!/bin/sh
# Makes everything ready before Airflow's parts start, each time that the estate is brought up. Safe to repeat.
set -eu
umask 077

airflow db migrate

# The one account of the simple auth manager, with the password of .env.
python - <<'PYTHON'
import json, os
from pathlib import Path

file = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
written = file.with_suffix(".new")
written.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
written.replace(file)
PYTHON

# The key that signs the manifests of exports, once; its public half is what people verify them with.
if [ ! -e "$REELKEEPER_SIGNING_KEY_FILE" ]; then
    reelkeeper signing-key create "$REELKEEPER_SIGNING_KEY_FILE"
fi

# Migrations of the catalogue, buckets, folders, lifecycle rules: what the DAG setup_estate does. Without its catalogue
# nothing can start; a store that is away for now must not keep the rest from starting.
reelkeeper estate setup || {
    echo "not every store is ready: see above; run the DAG setup_estate when they are" >&2
    reelkeeper db upgrade
}
