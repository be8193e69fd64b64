"""Pure decisions: functions of records and a clock, without I/O."""
