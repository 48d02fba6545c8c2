"""``python -m traitscope`` is the command line, where the command itself is not on the path."""

from traitscope.cli import main

if __name__ == "__main__":
    main()
