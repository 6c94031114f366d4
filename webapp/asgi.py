"""The application that the web server runs. Loading it also starts to load the model, in the background."""

from __future__ import annotations

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
django_application = get_asgi_application()

from django.conf import settings  # noqa: E402  after the application has set Django up

from webapp.admission import Admission, Gate  # noqa: E402
from webapp.limits import UploadLimit  # noqa: E402
from workers import inference  # noqa: E402

# Static files are small and WhiteNoise opens them synchronously; that is meant.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
gate = Gate(settings.FERRY_QUEUE, settings.FERRY_SEARCHES)
application = Admission(
    UploadLimit(django_application, settings.FERRY_MAX_UPLOAD), gate, settings.FERRY_DEADLINE
)
inference.warm_up()
