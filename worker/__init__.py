"""Claims a job, runs darts_core and reports over HTTP, without database credentials."""
