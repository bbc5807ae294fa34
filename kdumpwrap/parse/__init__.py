"""The tools' words -> values. No os, no subprocess; never raises on any text."""
