"""Listeners on SQLAlchemy engines that publish how long queries take."""
