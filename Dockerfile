# The consumer. Any image of Python 3.11 or newer will do as the base; name one by digest to build the same bytes again.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Neither pip nor setuptools goes into what is run.
RUN python -m venv tools && python -m venv --without-pip /opt/reelsync
COPY requirements-build.txt requirements-run.txt ./
RUN tools/bin/pip install --require-hashes --requirement requirements-build.txt \
 && tools/bin/pip --python /opt/reelsync/bin/python install --only-binary :all: --require-hashes --requirement requirements-run.txt
COPY . .
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && tools/bin/pip --python /opt/reelsync/bin/python install --no-deps --no-index wheels/*.whl

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/reelsync /opt/reelsync
# In a container, others than itself must reach it; which of them may is for the network to say.
ENV PATH=/opt/reelsync/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    REELSYNC_HTTP__HOST=0.0.0.0 \
    REELSYNC_HTTP__PORT=8080 \
    REELSYNC_LOG__FORMAT=json
WORKDIR /app
USER 10001:10001
EXPOSE 8080
# Live, not ready: an outage of the servers is no reason to replace the container. No library, no proxy: it runs often.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["python", "-Ic", "\
import http.client, os, sys; \
server = http.client.HTTPConnection('127.0.0.1', int(os.environ['REELSYNC_HTTP__PORT']), timeout=4); \
server.request('GET', '/livez'); \
sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["reelsync"]
CMD ["run"]
