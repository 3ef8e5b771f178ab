"""Engines for PostgreSQL, and what its errors mean."""
