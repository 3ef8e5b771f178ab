"""What a process imports from which others are forked.

Not the modules of the commands: the consoles that these make take their width from the environment.
"""

import gc

import aiokafka.admin
import alembic.command
import rich.progress
import typer

import reelsync.consumer.app
import reelsync.consumer.operations.verify
import reelsync.consumer.preflight
import reelsync.consumer.runner
import reelsync.migrations.runner

__all__ = ["aiokafka", "alembic", "reelsync", "rich", "typer"]

# What is never looked at by the garbage collector of a child stays shared with it.
gc.freeze()
