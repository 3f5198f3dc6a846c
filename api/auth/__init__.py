"""Authentication and authorisation: keys, sessions, permissions, quotas and the audit log."""
