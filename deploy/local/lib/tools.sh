# shellcheck shell=bash
# Programs that tests and benchmarks use beside the servers: built from source with Go. The version and the contents of
# every module are pinned by go.mod and go.sum in deploy/bench/NAME; Go refuses a module that is not what go.sum says.

TOOLS=(vegeta centrifugo)
# `tool` lines of a go.mod came with this one.
GO_OLDEST=1.24

# The module that holds the program.
tool_module() {
    case $1 in
        vegeta) say github.com/tsenart/vegeta/v12 ;;
        centrifugo) say github.com/centrifugal/centrifugo/v5 ;;
    esac
}

# Prints where the program is, alone on standard output. It is built where it is missing, or was built from other sources.
command_tool() {
    local name=$1 sources=$REPO/deploy/bench/$1 version folder
    [[ " ${TOOLS[*]} " == *" $name "* ]] || die "there is no tool $name; the tools are ${TOOLS[*]}"
    version=$(sed -n "s|^[[:space:]]*$(tool_module "$name") \(v[^ ]*\).*|\1|p" "$sources/go.mod")
    folder=$DIST/$name-${version#v}
    if [[ ! -x $folder/$name ]]; then
        make_folder "$DIST"
        exec 7>>"$DIST/$name.lock"
        flock --exclusive 7
        [[ -x $folder/$name ]] || build_tool "$name" "$sources" "$folder" >&2
        exec 7>&-
    fi
    say "$folder/$name"
}

build_tool() {
    local name=$1 sources=$2 folder=$3 version log=$DIST/$1.log
    local line="go build -C $sources -buildvcs=false -o $folder.part/$name $(tool_module "$name")"
    have go || die "$name is built with Go $GO_OLDEST or later, which is not installed (https://go.dev/dl); then run: $line"
    version=$(go env GOVERSION)
    [[ $(printf '%s\n' "go$GO_OLDEST" "$version" | sort -V | head -n 1) == "go$GO_OLDEST" ]] ||
        die "$name is built with Go $GO_OLDEST or later, and this is $version"
    rm -rf "$folder.part"
    make_folder "$folder.part"
    say "+ $line"
    # What the environment says for other builds is not for this one.
    # shellcheck disable=SC2086
    if ! env GOFLAGS= GOTOOLCHAIN=local GOWORK=off $line >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        die "$name could not be built; the output is in $log. It needs Go's module proxy (go env GOPROXY) and 1 GB of disk"
    fi
    rm -rf "$folder"
    mv "$folder.part" "$folder"
}
