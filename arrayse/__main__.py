"""``python -m arrayse``, which torchrun needs."""

from arrayse.cli import main

if __name__ == "__main__":
    main()
