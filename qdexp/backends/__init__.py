"""Third-party engines, one per file."""
