"""The stream that stays open: one pass for all who follow, whatever their number and intervals."""
