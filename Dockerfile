# The image of every part of Poplar: `poplar serve`, `lmtp`, `api`, `sweep`, `migrate` and the rest.
#
#   docker build --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" --tag poplar .
#
# Behind a company's proxy that signs with its own CA: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
# Needs BuildKit. Two builds of one commit on one base give the same layers (deploy/decisions/image.md).

# Any glibc image with Python 3.11 or newer and its venv module; the release notes name the one used, by digest.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG SOURCE_DATE_EPOCH=0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PYTHONHASHSEED=0
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /source
COPY requirements.lock deploy/image/build.lock ./
# Wheels alone, by hash: nothing is compiled, so no compiler's version can change what comes out.
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv /build; \
    /build/bin/pip install --require-hashes --no-deps --only-binary=:all: --requirement build.lock; \
    python3 -m venv --without-pip /opt/poplar; \
    /build/bin/pip --python /opt/poplar/bin/python install --no-compile \
      --require-hashes --no-deps --only-binary=:all: --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY service service
# Wheels bring the C of what they compiled, which nothing reads. Byte code carries its source's hash rather than a time, and
# every file the commit's time.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheel .; \
    /build/bin/pip --python /opt/poplar/bin/python install --no-compile --no-deps --no-index /wheel/*.whl; \
    find /opt/poplar/lib -regex '.*\.\(c\|cc\|cpp\|h\|pxd\|pxi\|pyx\)' -delete; \
    find /opt/poplar -name direct_url.json -delete; \
    /opt/poplar/bin/python -m compileall -q -j 1 --invalidation-mode unchecked-hash /opt/poplar/lib; \
    mkdir -p /image/opt; \
    mv /opt/poplar /image/opt/; \
    find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# The base without what installs software, with its standard library compiled: a read-only root keeps no byte code.
FROM ${BASE_IMAGE} AS base
ARG SOURCE_DATE_EPOCH=0
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN mkdir /runtime; \
    tar --create --one-file-system --directory=/ --exclude=./runtime --exclude=./.dockerenv --exclude=__pycache__ \
      --exclude='./tmp/*' --exclude='./run/*' --exclude='./root/*' --exclude='./var/cache/*' --exclude='./var/log/*' \
      --exclude='./var/lib/apt/*' --exclude=./etc/hosts --exclude=./etc/hostname --exclude=./etc/resolv.conf \
      --exclude='./usr/lib/python3*/ensurepip' --exclude=./usr/share/python-wheels \
      --exclude='./usr/local/bin/pip*' --exclude='./usr/local/lib/python3*/ensurepip' \
      --exclude='./usr/local/lib/python3*/site-packages/*' --exclude=./usr/local/include . \
      | tar --extract --directory=/runtime; \
    printf 'poplar:x:10001:10001::/nonexistent:/usr/sbin/nologin\n' >>/runtime/etc/passwd; \
    printf 'poplar:x:10001:\n' >>/runtime/etc/group; \
    for library in /runtime/usr/lib/python3.* /runtime/usr/local/lib/python3.*; do \
      if [ -d "$library" ]; then \
        PYTHONHASHSEED=0 python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash -x '/tests?/' \
          -s /runtime "$library"; \
      fi; \
    done; \
    find /runtime -newermt "@${SOURCE_DATE_EPOCH}" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="Poplar" \
      org.opencontainers.image.description="A multi-tenant POP3 service for hosting providers" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=base /runtime/ /
COPY --from=build /image/ /
ENV PATH=/opt/poplar/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
# Any port will do; these are the defaults of `poplar serve` and of /metrics, /livez, /readyz and the HTTP API.
EXPOSE 110 995 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=20s CMD ["poplar", "probe", "live"]
ENTRYPOINT ["poplar"]
CMD ["serve"]
