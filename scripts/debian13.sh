#!/usr/bin/env bash
# debian13.sh run|list - builds, tests and runs the shop on Debian 13, from any
# Debian: what the Dockerfile does, without Docker.
#
#   run    makes a Debian 13 with debootstrap in memory (1 GB), at
#          build/debian13, from the mirror that apt uses here, copies this
#          directory there (without what .dockerignore names), and executes the
#          RUN lines of the Dockerfile: packages, build, `make test`, demo.  A test that is
#          skipped there fails the run.  Bounded: DEBIAN13_SECONDS=480.
#   list   prints these RUN lines
#
# All of it runs in namespaces of its own for mounts and processes: however it
# ends, kill -9 included, the kernel ends what was started and takes back what
# was mounted.  An empty directory is left.  Exit codes: 77 when this machine
# does not allow that (root is needed), 124 when the time is over.  DOCKERFILE and DEBIAN13_DIR are for the tests.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
dockerfile=${DOCKERFILE:-Dockerfile}
limit=${DEBIAN13_SECONDS:-480}
there=${DEBIAN13_DIR:-$PWD/build/debian13}

fail() { # CODE TEXT
    echo "debian13: $2" >&2
    exit "$1"
}

run_lines() {
    if grep -qE '^RUN .*\\$' "$dockerfile"; then
        fail 65 "$dockerfile: a RUN line goes on in the next: write one line"
    fi
    grep '^RUN ' "$dockerfile" | sed 's/^RUN *//' ||
        fail 65 "$dockerfile has no RUN line"
}

# ---- inside the namespaces --------------------------------------------------

# The mirror of this machine's own release, as apt knows it.
mirror() {
    # shellcheck disable=SC1091
    . /etc/os-release
    # shellcheck disable=SC2016 # apt's names
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' |
        awk -v name="${VERSION_CODENAME:-}" '
            ($1 == name || $1 == "stable" || $1 == "testing") &&
            $2 == "main" { print $3; exit }'
}

bootstrap() {
    local url http='' https=''
    url=$(mirror)
    [ -n "$url" ] ||
        fail 69 "apt has no mirror of this machine's Debian (see /etc/apt)"
    eval "$(apt-config shell http Acquire::http::Proxy \
        https Acquire::https::Proxy)"
    [ -z "$http" ] || export http_proxy=$http
    [ -z "$https" ] || export https_proxy=$https
    debootstrap --variant=minbase trixie "$there" "$url" >"$there.log" 2>&1 ||
        {
            tail -n 15 "$there.log" >&2
            fail 69 'debootstrap failed; see above'
        }
    # What makes apt work here makes it work there.
    apt-config dump --no-empty --format '%f "%v";%n' Acquire::http \
        Acquire::https Acquire::Check-Valid-Until Acquire::Check-Date \
        >"$there/etc/apt/apt.conf.d/99outside"
    cp -L /etc/hosts /etc/resolv.conf "$there/etc/"
}

copy_source() {
    mkdir "$there/src"
    tar --anchored --exclude-from <(sed 's,^/*,./,' .dockerignore) -cf - . |
        tar --no-same-owner -C "$there/src" -xf -
}

execute() { # RUN-LINE
    chroot "$there" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LC_ALL=C.UTF-8 sh -c "cd /src && $1" </dev/null |
        tee -a "$there.said"
}

# Says what begins, and remembers how long it took.
took=''
part() { # NAME COMMAND...
    local begun=$SECONDS
    echo "== debian13: $1"
    "${@:2}"
    took+=", $1 $((SECONDS - begun)) s"
}

inside() {
    local line lines
    lines=$(run_lines)
    mount -t tmpfs -o mode=755 debian13 "$there"
    part debootstrap bootstrap
    mount -t proc proc "$there/proc"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts \
        "$there/dev/pts"
    mount -t tmpfs tmpfs "$there/dev/shm"
    part 'copy of the source' copy_source
    while IFS= read -r line; do
        part "$line" execute "$line"
    done <<<"$lines"
    if grep -E '^[0-9]+ passed, .* skipped$' "$there.said" >&2; then
        grep -hE '^ok .*# *SKIP' "$there"/src/build/tests/*.tap >&2 || true
        fail 1 'a test was skipped'
    fi
    echo "debian13: ${took#, }; $SECONDS s of $limit in all"
}

# ---- outside ----------------------------------------------------------------

namespaces=(setpriv --pdeathsig KILL
    unshare --mount --pid --fork --kill-child --mount-proc)

runner=''
clean_up() {
    trap '' INT TERM HUP
    if [ -n "$runner" ]; then
        kill -KILL "$runner" 2>/dev/null || true
        wait "$runner" 2>/dev/null || true
    fi
    rmdir "$there"
}

run() {
    local code=0
    [ "$(id -u)" -eq 0 ] ||
        fail 77 'skipped: debootstrap needs root:  sudo make test-debian13'
    "${namespaces[@]}" chroot / true 2>/dev/null ||
        fail 77 'skipped: namespaces or chroot are not allowed here'
    command -v debootstrap >/dev/null ||
        fail 69 'debootstrap is missing:  scripts/packages.sh install ci'
    mkdir -p "$(dirname "$there")"
    exec 8>"$there.lock"
    flock -n 8 || fail 75 "another run uses $there"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    rm -f "$there".{log,said}
    mkdir -p "$there"
    setpriv --pdeathsig KILL timeout -s KILL "$limit" "${namespaces[@]}" \
        "$0" inside </dev/null 8>&- &
    runner=$!
    wait $runner || code=$?
    runner=''
    [ $code -ne 137 ] || fail 124 "not done within $limit s"
    return $code
}

case $* in
    run) run ;;
    inside) inside ;;
    list) run_lines ;;
    *) fail 64 'usage: debian13.sh run|list' ;;
esac
