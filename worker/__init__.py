"""The worker: claims a job, runs darts_core, reports over HTTP. Has no database credentials."""
