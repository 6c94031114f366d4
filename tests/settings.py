"""Settings under test: everything that is written goes to a folder that ends with the test run."""

import os
import tempfile

_scratch = tempfile.TemporaryDirectory(prefix="ferry-tests-")  # kept alive by this module, removed at exit
os.environ["FERRY_DATA"] = _scratch.name
for _name in ("FERRY_URL", "REDIS_URL", "FERRY_INFERENCE", "FERRY_DEBUG"):
    os.environ.pop(_name, None)
if os.environ.get("DATABASE_URL") != os.environ.get("FERRY_TEST_DATABASE_URL"):
    os.environ.pop("DATABASE_URL", None)  # never somebody's real database

from webapp.settings import *  # noqa: E402, F403
from webapp.settings import DATABASES, FERRY_DATA  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # a file, not memory: threads and processes share it
    DATABASES["default"]["TEST"] = {"NAME": str(FERRY_DATA / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
FERRY_LEASE, FERRY_HEARTBEAT, FERRY_SWEEP = 3.0, 0.5, 0.5
FERRY_RATES = {"anonymous": "off", "member": "off", "write": "off"}
