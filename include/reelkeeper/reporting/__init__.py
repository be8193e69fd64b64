"""What people and their monitoring see of an estate: figures, metrics, alarms, the daily report."""
