"""Losses: functions of tensors, the terms of a training forward, and their weights."""
