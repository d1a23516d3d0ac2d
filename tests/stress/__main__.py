"""``python -m tests.stress``; started processes import this file anew, so it imports nothing itself."""

if __name__ == "__main__":
    from tests.stress.command import main

    main()
