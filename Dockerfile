# One image for all parts: web server and workers. CPU only unless TORCH_INDEX says otherwise.
FROM python:3.12-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/ferry
COPY pyproject.toml requirements.lock ./
# what the server needs, at the versions of the lock; tools for development stay out
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > wanted.txt \
 && /opt/ferry/bin/pip install --extra-index-url "$TORCH_INDEX" --constraint requirements.lock --requirement wanted.txt

FROM python:3.12-slim-bookworm
# libraries that RDKit's drawing links to
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libxrender1 libxext6 libexpat1 \
 && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/ferry/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp FERRY_DATA=/data
WORKDIR /app
COPY --from=build /opt/ferry /opt/ferry
COPY manage.py pyproject.toml LICENSE NOTICE ./
COPY mlcore ./mlcore
COPY workers ./workers
COPY webapp ./webapp
COPY frontend ./frontend
COPY models ./models
# any user id in group 0 may run it: files are read-only for all, and the data folder belongs to group 0
RUN mkdir /data && chgrp 0 /data && chmod 2775 /data
USER 10001:0
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s \
  CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
