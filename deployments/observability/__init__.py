"""Log lines, gauges and the metrics page of the processes that Rhapsode runs."""
