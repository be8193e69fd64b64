"""What Airflow's API server serves for us, below `/reelkeeper`. Each route says who may use it."""
