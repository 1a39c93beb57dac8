# shellcheck shell=bash
# common.sh - what the scripts that people run share.  Sourced, by bash -p,
# which takes no functions, options and start-up files from the environment.
#
# Nothing else in the environment changes what a command means, either.
set +o posix
unset POSIXLY_CORRECT GREP_OPTIONS CDPATH TMOUT BASH_ENV ENV MAKEFLAGS MFLAGS \
    MAKELEVEL
export -n SHELLOPTS BASHOPTS
export PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export LC_ALL=C.UTF-8
if [ ! -d "${TMPDIR:-/tmp}" ] || [ ! -w "${TMPDIR:-/tmp}" ]; then unset TMPDIR; fi

# What is closed would be taken by the next file that is opened, which would
# then get what is said.
{ : <&0; } 2>/dev/null || exec </dev/null
{ : >&1; } 2>/dev/null || exec >/dev/full
{ : >&2; } 2>/dev/null || exec 2>/dev/null

# Milliseconds on a clock that only goes forward; bash's own do not.
now_ms() {
    local up
    read -r up _ </proc/uptime
    echo $((10#${up/./} * 10))
}

# Waits until COMMAND succeeds, for at most SECONDS.
within() { # SECONDS COMMAND...
    local until=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$until" ] || return 1
        sleep 0.02
    done
}

# Whether what is said may have colours.
has_colours() {
    [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]
}

# Leaves TEXT in $REPLY as saga shows it: what is no UTF-8, controls the terminal
# or is not seen (a bidi override, a zero width) as \xff or \u202e; see
# libevents/base/text.h.
as_shown() { # TEXT
    local i c code
    REPLY=''
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        # Bash takes a byte that is no character for one, and remembers it.
        if [[ $c != [[:ascii:]] ]] && [ "$(LC_ALL=C; echo ${#c})" -eq 1 ]; then
            c=\\x$(LC_ALL=C; printf %02x "'$c")
            code=32
        else
            printf -v code %d "'$c"
        fi
        if ((code < 32 || code >= 0x7f && code <= 0x9f || code == 0xad ||
            code == 0x61c || code >= 0x200b && code <= 0x200f ||
            code >= 0x2028 && code <= 0x202e || code >= 0x2060 && code <= 0x206f ||
            code == 0xfeff || code >= 0xfff0 && code <= 0xfffb)); then
            printf -v c '\\u%04x' "$code"
        elif ((code >= 0xe0000)); then
            printf -v c '\\U%08x' "$code"
        fi
        REPLY+=$c
    done
}
