"""Entry point of `python -m bench`, which `make bench` runs."""

from bench.run import main

if __name__ == "__main__":
    main()
