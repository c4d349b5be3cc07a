"""The program, whose processes of the server load no models at their start.

python -m tests.support.cold_server serve
"""

from onlooker.api import server
from onlooker.cli.main import main

if __name__ == "__main__":
    server.MODULE = "tests.support.stuck_server"
    main()
