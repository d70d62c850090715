"""Renderings that several wires share. No wire's routes."""
