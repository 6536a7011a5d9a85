"""Lets ``python -m qdexp`` do what the ``qdexp`` command does."""

from qdexp.cli.app import main

if __name__ == "__main__":
    main()
