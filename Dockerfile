# Two images: `docker build --target cpu .` and `docker build --target gpu .` (CUDA).

FROM python:3.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    LAYERSCOPE_HOME=/layerscope/var HF_HOME=/layerscope/var/huggingface MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /layerscope
RUN useradd --uid 10001 --home-dir /layerscope/var --no-create-home --shell /usr/sbin/nologin layerscope \
    && install --directory --owner=layerscope --mode=0700 var
COPY pyproject.toml constraints.txt ./
# Only the dependencies, so that a change of our own files does not install them again.
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['all'], *p['optional-dependencies']['otel'], sep='\n')" \
    > requirements.txt
ENTRYPOINT ["layerscope"]

FROM base AS cpu
# Only torch comes from its own index. Its dependencies come from the default index, as pinned.
RUN pip install --no-deps --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --constraint constraints.txt --requirement requirements.txt
COPY . .
RUN pip install --no-deps --editable .
USER 10001:10001

FROM base AS gpu
RUN pip install --constraint constraints.txt --requirement requirements.txt
COPY . .
RUN pip install --no-deps --editable .
USER 10001:10001
