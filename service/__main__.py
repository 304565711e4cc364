"""`python -m service` is `poplar`.

Owns nothing. Workers of `poplar serve --workers` are started this way, so that they run the same code.
"""

from service.cli.main import main

if __name__ == "__main__":
    main()
