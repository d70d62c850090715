"""`python -m oneself` and the console script `oneself`."""

from oneself.cli.main import main

if __name__ == "__main__":
    main()
