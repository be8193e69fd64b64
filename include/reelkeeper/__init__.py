"""Reelkeeper's core: everything that happens to footage, free of Airflow.

Read in this order: `model` and `errors` (the words), `settings` (the estate), then a job from its `job` module on.

- Jobs, each a package: `ingest`, `migration`, `tiering`, `restoring`, `exporting`, `retention`, `reconciling`,
  `verification`. What several of them share stands beside them: `claims`, `ramp`, `pricing`, `reading`,
  `media_options`, `ownership`, `timekeeping`.
- What people see: `quality` and `reporting`, with `reports` (where pages and tables are kept) and `wording`.
- What the jobs stand on: `stores` (where bytes live), `catalogue` (what we know), `policy` (pure decisions), `media`
  (what is in a file), `landing` (where recordings arrive).
- The estate itself: `estate_setup`, `health`, `cameras`. How people get at objects: `delivery`, `playback`, `pem`.
"""
