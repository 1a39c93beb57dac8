# Dockerfile - the shop, its tests and its demo on Debian 13.
#
#   docker build -t pas-de-trois .                  builds
#   docker run --rm -it pas-de-trois                the shop, until Ctrl-C
#   docker build --target tested .                  runs the tests and the demo
#
# `make test-debian13` executes the RUN lines of this file, all stages in this
# order, without Docker.  It reads a RUN instruction as one line.

FROM debian:13-slim AS tools
WORKDIR /src
COPY scripts/packages.sh scripts/
RUN scripts/packages.sh install test

FROM tools AS built
COPY . .
RUN make -s -j2 tests

FROM built AS tested
RUN make -s -j2 test
RUN ./run.sh demo

FROM built
CMD ["./run.sh"]
