"""``python -m addonry`` is ``addonry``."""

from addonry.cli import main

if __name__ == "__main__":
    main()
