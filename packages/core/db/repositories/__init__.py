"""Queries that two or more services need."""
