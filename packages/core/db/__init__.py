"""PostgreSQL: tables, tenant-bound sessions, shared queries and migrations."""
