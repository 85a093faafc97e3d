# shellcheck shell=bash
# Programs that come from Debian: only what is missing is installed, and each command is printed before it runs.

# The home of a Java that runs all three Java servers (17 or later); fails if there is none. Its version is read from the
# `release` file, which is faster than asking it.
java_home() {
    local home version
    [[ -z ${JAVA_FOUND:-} ]] || { say "$JAVA_FOUND"; return; }
    for home in "${JAVA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "$(command -v java || echo /none/none)")")")" /usr/lib/jvm/*; do
        [[ -n $home && -x $home/bin/java && -r $home/release ]] || continue
        version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")
        ((${version:-0} >= 17)) || continue
        say "$home"
        return
    done
    return 1
}

missing_packages() {
    local services=" $* "
    need() { have "$1" || say "$2"; }
    if [[ $services == *" kafka "* || $services == *" elasticsearch "* ]]; then
        java_home >/dev/null || say default-jre-headless
        dist_complete "$@" || need mvn maven
    fi
    if [[ $services == *" elasticsearch "* || $services == *" nats "* ]]; then
        need curl curl
        dist_complete "$@" || need unzip unzip
    fi
    if [[ $services == *" connect "* ]]; then need curl curl; fi
    if [[ $services == *" nats "* ]] && ! dist_complete nats; then
        python3 -m pip --version >/dev/null 2>&1 || say python3-pip
    fi
    if [[ $services == *" redis "* ]]; then
        need redis-server redis-server
        need redis-cli redis-tools
    fi
    if [[ $services == *" mariadb "* ]]; then
        need mariadbd mariadb-server
        need mariadb-install-db mariadb-server
        need mariadb mariadb-client
    fi
    if [[ $services == *" prometheus "* ]]; then
        need prometheus prometheus
        need promtool prometheus
        need curl curl
    fi
    if [[ -n $SECURE || $services == *" nats "* ]]; then need openssl openssl; fi
}

install_packages() {
    local packages as_root=()
    mapfile -t packages < <(missing_packages "$@" | sort -u)
    if ((${#packages[@]})); then
        local line="apt-get install -y --no-install-recommends ${packages[*]}"
        have apt-get || die "these are missing and must be installed by hand, since there is no apt-get here: ${packages[*]}"
        if ((EUID != 0)); then
            if ! have sudo || ! { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
                die "some packages are missing; as root, run: $line"
            fi
            as_root=(sudo)
        fi
        # Another machine-wide installation at the same time is normal: wait for apt's lock. Services that use a library
        # which this brings up to date are not restarted behind their owner's back.
        as_root+=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1)
        keep_services_from_starting "${as_root[@]}"
        say "+ apt-get update"
        apt_quietly "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update
        say "+ $line"
        # shellcheck disable=SC2086
        apt_quietly "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 ${line#apt-get }
        let_services_start_again
        leave_services_disabled "${packages[*]}"
        hash -r
    fi
    if [[ " $* " == *" kafka "* || " $* " == *" elasticsearch "* ]]; then
        JAVA_FOUND=$(java_home) || die "no Java of version 17 or later was found: install one (Debian: default-jre-headless) or set JAVA_HOME"
    fi
}

apt_quietly() {
    local log=$STACK_DIR/apt.log
    "$@" >"$log" 2>&1 </dev/null && return
    tail -n 20 "$log" >&2
    die "the command above failed; its output is in $log"
}

# Debian starts a server as soon as its package is installed, on the usual port. A policy-rc.d that says no prevents
# that. One that is there already is the administrator's, and stays as it is.
keep_services_from_starting() {
    POLICY_AS=("$@")
    POLICY_MADE=
    [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
    POLICY_MADE=1
    trap let_services_start_again EXIT
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n# Written by the local stack of twolane while it installs packages; it removes it again.\nexit 101\n' |
        "$@" sh -c 'cat > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d'
}

let_services_start_again() {
    [[ -n $POLICY_MADE ]] || return 0
    POLICY_MADE=
    "${POLICY_AS[@]}" rm -f /usr/sbin/policy-rc.d
    trap - EXIT
}

# Nor should the servers start with the machine from now on: only their programs are wanted.
leave_services_disabled() {
    local units=()
    [[ -d /run/systemd/system ]] || return 0
    [[ " $1 " != *" redis-server "* ]] || units+=(redis-server)
    [[ " $1 " != *" mariadb-server "* ]] || units+=(mariadb)
    [[ " $1 " != *" prometheus "* ]] || units+=(prometheus)
    ((${#units[@]})) || return 0
    say "+ systemctl disable ${units[*]}"
    "${POLICY_AS[@]}" systemctl disable "${units[@]}" >/dev/null 2>&1 || true
}
